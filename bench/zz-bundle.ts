import { bundleImage } from "../bundle.ts";
console.log(await bundleImage(process.argv[2]!));
