import assert from "node:assert/strict";
import { ConfigError } from "../../src/config/error.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";

const minimal = `
tls: {certFile: /tls/tls.crt, keyFile: /tls/tls.key}
fetcher: {image: registry.example/wasmount:0.1.0}
`;

function refusal(text: string): string {
  try {
    parseConfig(text, "wasmount.yaml");
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return assert.fail("the configuration was accepted");
}

describe("operator configuration", () => {
  it("fills every default in", () => {
    const config = parseConfig(minimal, "wasmount.yaml");
    assert.equal(config.listen.port, 10250);
    assert.equal(config.volume.mountPath, "/wasmount");
    assert.equal(config.limits.configBytes, 64 * 1024);
    assert.deepEqual(config.registries, []);
    assert.deepEqual(config.fetcher.resources.limits, { cpu: "1", memory: "256Mi" });
  });

  it("takes what the file says over the default", () => {
    const config = parseConfig(
      `${minimal}\nregistries: [{host: "127.0.0.1:5000", plainHttp: true}, {host: a.example}]`,
      "f",
    );
    const simple = { insecureTls: false, mirrors: [] };
    assert.deepEqual(config.registries, [
      { host: "127.0.0.1:5000", plainHttp: true, ...simple },
      { host: "a.example", plainHttp: false, ...simple },
    ]);
  });

  it("names the file and the nearest spelling of an unknown key", () => {
    assert.match(
      refusal(`${minimal}\nregistrys: []`),
      /^wasmount\.yaml: .*unknown key registrys: did you mean registries\?/,
    );
    assert.match(
      refusal(`${minimal}\nlimits: {configByte: 1}`),
      /limits has the unknown key configByte: did you mean configBytes\?/,
    );
    assert.match(refusal(`${minimal}\nlimits: {zzzzzzzzz: 1}`), /known are filters, configBytes/);
  });

  it("reports every problem of the file at once", () => {
    const message = refusal(`${minimal}\nlog: {level: loud}\nlimits: {filters: 0}`);
    assert.match(message, /log\.level is "loud", allowed are debug, info, warn, error/);
    assert.match(message, /limits\.filters must be >= 1, and is 0/);
  });

  it("lets nobody add environment by which other code would run in the fetcher", () => {
    const allowing = (name: string) => `${minimal.replace(/\}\n$/, `, allowedEnvironment: [${name}]}\n`)}`;
    assert.deepEqual(parseConfig(allowing("HTTPS_PROXY"), "f").fetcher.allowedEnvironment, ["HTTPS_PROXY"]);
    for (const name of ["NODE_OPTIONS", "NODE_EXTRA_CA_CERTS", "LD_PRELOAD", "OPENSSL_CONF", "WASMOUNT_PLAN_0"]) {
      assert.match(
        refusal(allowing(name)),
        new RegExp(`fetcher\\.allowedEnvironment has ${name}, by which other code`),
      );
    }
  });

  it("names what is missing", () => {
    assert.match(refusal("fetcher: {image: a}"), /tls needs certFile and keyFile, or self/);
    assert.match(refusal(""), /fetcher needs the key image/);
  });

  it("takes the certificate and the keys from one source each", () => {
    const fetcher = "fetcher: {image: registry.example/wasmount:1}";
    const self = (more = "", plan = "") =>
      `tls: {self: {dnsNames: [wasmount-webhook.wasmount-system.svc]}${more}}\n${fetcher}\nplan: {${plan}}`;
    const { tls, plan } = parseConfig(self("", "keysSecret: wasmount-plan-keys"), "f");
    const dnsNames = ["wasmount-webhook.wasmount-system.svc"];
    const made = { caSecret: "wasmount-webhook-ca", registration: "wasmount", dnsNames };
    assert.deepEqual(tls, { self: made, clientCaFile: null });
    assert.deepEqual(plan, { keysSecret: "wasmount-plan-keys", signingKeyFile: null, verificationKeyFiles: [] });
    assert.match(refusal(self(", certFile: a")), /tls has self and certFile: write one source/);
    assert.match(refusal(`tls: {certFile: a}\n${fetcher}`), /tls needs certFile and keyFile, or self/);
    assert.match(refusal(self("", "keysSecret: a, signingKeyFile: b")), /plan has keysSecret and signingKeyFile/);
    assert.match(refusal(self("", "keysSecret: a, verificationKeyFiles: [b]")), /keysSecret and verificationKeyFiles/);
    assert.match(refusal(self("", "keysSecret: A_b")), /plan\.keysSecret must match pattern/);
    assert.match(refusal(`tls: {self: {}}\n${fetcher}`), /tls\.self needs the key dnsNames/);
    assert.match(
      refusal(`tls: {self: {dnsNames: ["*.svc"]}}\n${fetcher}`),
      /tls\.self\.dnsNames\.0 must match pattern/,
    );
  });

  it("refuses a mount path below a symbolic link, and one that is no path", () => {
    assert.match(refusal(`${minimal}\nvolume: {mountPath: /var/run/wasmount}`), /volume\.mountPath/);
    assert.match(refusal(`${minimal}\nvolume: {mountPath: /run/wasmount}`), /volume\.mountPath/);
    assert.match(refusal(`${minimal}\nvolume: {mountPath: /a/../b}`), /volume\.mountPath/);
    assert.match(refusal(`${minimal}\nvolume: {mountPath: /}`), /volume\.mountPath/);
  });

  it("names the namespaces and the repositories that the operator's credentials serve", () => {
    const entry = { file: "/credentials/a.json", namespaces: ["shop"], repositories: ["r.example/team/**"] };
    const withEntry = (changes: object) =>
      `${minimal}\nregistryCredentials: ${JSON.stringify([{ ...entry, ...changes }])}`;
    assert.deepEqual(parseConfig(withEntry({}), "f").registryCredentials, [entry]);
    assert.deepEqual(parseConfig(minimal, "f").registryCredentials, []);
    assert.match(
      refusal(withEntry({ namespaces: [] })),
      /registryCredentials\.0\.namespaces must NOT have fewer than 1/,
    );
    assert.match(refusal(withEntry({ namespaces: ["*"] })), /registryCredentials\.0\.namespaces\.0 must match pattern/);
    assert.match(refusal(withEntry({ repositories: undefined })), /registryCredentials\.0 needs the key repositories/);
    assert.match(
      refusal(withEntry({ repositories: ["r.example/a", "R.example/team-*"] })),
      /registryCredentials\.0\.repositories has "R\.example\/team-\*": write registry\/repository as references do/,
    );
    assert.match(refusal(withEntry({ password: "x" })), /registryCredentials\.0 has the unknown key password/);
  });

  it("refuses a key given twice and text that is not YAML", () => {
    assert.match(refusal(`${minimal}\ntls: {}`), /not YAML/);
    assert.match(refusal("a: ["), /not YAML/);
  });

  it("refuses a registry that references would never name so", () => {
    const wrong = (host: string) => refusal(`${minimal}\nregistries: [{host: a.example}, {host: "${host}"}]`);
    assert.match(
      wrong("Registry.Example:443"),
      /registries\.1\.host is "Registry\.Example:443": write registry\.example/,
    );
    assert.match(wrong("https://registry.example"), /registries\.1\.host .*: write a host as references do/);
    assert.match(wrong("registry"), /registries\.1\.host .*: write a host as references do: with a dot or a port/);
    assert.match(wrong("registry.example/team"), /registries\.1\.host .*: write registry\.example/);
  });

  it("spells quantities as the API server stores them", () => {
    const text = minimal.replace(
      "0.1.0}",
      "0.1.0, resources: {requests: {cpu: 1000m, memory: 1024Mi}, limits: {memory: 1.5Gi}}}",
    );
    const { fetcher, volume } = parseConfig(`${text}\nvolume: {sizeLimit: 1024Mi}`, "f");
    assert.deepEqual(fetcher.resources, { requests: { cpu: "1", memory: "1Gi" }, limits: { memory: "1536Mi" } });
    assert.equal(volume.sizeLimit, "1Gi");
  });

  it("refuses resources that no API server would take", () => {
    const wrong = (resources: string) => refusal(minimal.replace("0.1.0}", `0.1.0, resources: ${resources}}`));
    assert.match(wrong("{limits: {cpu: 5xx}}"), /fetcher\.resources\.limits\.cpu must match pattern .*"5xx"/);
    assert.match(wrong("{limits: {cpus: 1}}"), /unknown key cpus: did you mean cpu\?/);
    assert.match(
      wrong("{requests: {memory: 2Gi}, limits: {memory: 1536Mi}}"),
      /requests 2Gi of memory, which is more than its limit 1536Mi/,
    );
  });

  it("refuses a volume on which no module fits", () => {
    assert.match(
      refusal(`${minimal}\nvolume: {sizeLimit: 1Mi}`),
      /volume\.sizeLimit 1Mi is less than limits\.moduleBytes, 67108864/,
    );
    assert.match(refusal(`${minimal}\nvolume: {sizeLimit: 0Mi}`), /sizeLimit 0Mi/);
  });

  it("leaves time to make use of what a registry answers", () => {
    assert.match(refusal(`${minimal}\nlimits: {resolveSeconds: 5}`), /limits\.resolveSeconds must be <= 4, and is 5/);
    assert.match(
      refusal(`${minimal}\nlimits: {resolveSeconds: 3, reviewSeconds: 2.5}`),
      /limits\.resolveSeconds is 3: write less than limits\.reviewSeconds, 2\.5/,
    );
    assert.equal(parseConfig(`${minimal}\nlimits: {resolveSeconds: 4}`, "f").limits.reviewSeconds, 4.5);
  });

  it("refuses releases of Envoy that never were, or came before Wasm", () => {
    assert.match(refusal(`${minimal}\nenvoy: {version: "0.1"}`), /envoy\.version: .*0\.1 does not run Wasm/);
    assert.match(refusal(`${minimal}\nenvoy: {version: "1234.5"}`), /envoy\.version is 1234\.5/);
    assert.equal(parseConfig(`${minimal}\nenvoy: {version: "1.33"}`, "f").envoy.version, "1.33");
  });

  it("says which file can't be read", async () => {
    await assert.rejects(loadConfig("/nowhere/wasmount.yaml"), {
      code: "Unreadable",
      message: /\/nowhere\/wasmount\.yaml/,
    });
  });
});
