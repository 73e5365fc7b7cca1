import type { FuzzTarget } from "../target.ts";
import { gzipLayers, tarFiles, tarLayers, zstdLayers } from "./archives.ts";
import { challenges } from "./challenges.ts";
import { httpResponses } from "./http-response.ts";
import { manifests } from "./manifests.ts";
import { modules } from "./modules.ts";
import { references } from "./references.ts";
import { runtimeConfigs } from "./runtime-configs.ts";
import { signatures } from "./signatures.ts";

export const targets: readonly FuzzTarget[] = [
  references,
  challenges,
  httpResponses,
  manifests,
  runtimeConfigs,
  tarFiles,
  tarLayers,
  gzipLayers,
  zstdLayers,
  modules,
  signatures,
];
