import type { Check } from "../check.ts";
import { finding } from "../finding.ts";
import { CONFIG_MAP } from "../installation.ts";

/** Would a replica start with the configuration that there is? */
export const configurationCheck: Check = {
  name: "the configuration",
  async run({ installation: { ownNamespace, configProblem } }) {
    if (configProblem === null) return [];
    return [finding("ConfigurationInvalid", `ConfigMap ${ownNamespace}/${CONFIG_MAP}`, configProblem)];
  },
};
