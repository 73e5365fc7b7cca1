// A large module passes through the fetcher as thousands of buffers: tiny objects to V8's young generation, 64 KiB each
// to the pod's memory limit. A young generation that doesn't grow is collected before they add up. It grows while
// programs load, so this is said before anything else is.
if (process.argv[2] === "fetch") process.getBuiltinModule("node:v8").setFlagsFromString("--semi-space-growth-factor=1");
