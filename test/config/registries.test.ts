import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { registryTerms } from "../../src/admission/registry-terms.ts";
import { type Credentials, createAuthority } from "../../src/certs/authority.ts";
import { ConfigError } from "../../src/config/error.ts";
import { loadConfig, parseConfig } from "../../src/config/load.ts";
import { registryOptions } from "../../src/config/registry-options.ts";

const minimal = {
  tls: { certFile: "/tls/tls.crt", keyFile: "/tls/tls.key" },
  fetcher: { image: "registry.example/wasmount:0.1.0" },
};
const parse = (more: object) => parseConfig(JSON.stringify({ ...minimal, ...more }), "wasmount.yaml");
const registry = (more: object) => parse({ registries: [{ host: "a.example", ...more }] });

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.message;
  }
  return assert.fail("the configuration was accepted");
}

describe("configuration of registries", () => {
  let folder: string;
  let authority: Credentials;
  let other: Credentials;
  const file = async (name: string, text: string) => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };

  before(async () => {
    [authority, other] = [await createAuthority("a", 1, new Date()), await createAuthority("b", 1, new Date())];
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-config-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("reads an authority's file, so that the plan can carry it", async () => {
    const caFile = await file("ca.pem", authority.certificate);
    const path = await file("config.json", JSON.stringify({ ...minimal, registries: [{ host: "a.example", caFile }] }));
    const config = await loadConfig(path);
    const { registries } = registryTerms(config);
    assert.deepEqual(registries, [{ host: "a.example", plainHttp: false, ca: authority.certificate }]);
    assert.equal((await registryOptions(config)).registries?.[0]?.ca, authority.certificate);
  });

  it("refuses what is no certificate, or more than that, in a file as in place", async () => {
    const key = `${authority.certificate}\n${authority.privateKey}`;
    assert.match(
      refusal(() => registry({ ca: key })),
      /registries\.0 \(a\.example\): ca holds a private key/,
    );
    assert.match(
      refusal(() => registry({ ca: "x" })),
      /holds no certificate in PEM/,
    );
    const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    assert.match(
      refusal(() => registry({ ca: broken })),
      /can't be read/,
    );
    const caFile = await file("ca.pem", key);
    const path = await file("config.json", JSON.stringify({ ...minimal, registries: [{ host: "a.example", caFile }] }));
    await assert.rejects(loadConfig(path), (error: Error) => {
      assert.match(error.message, /registries\.0\.caFile .*ca\.pem holds a private key/);
      return !error.message.includes("BEGIN");
    });
  });

  it("refuses more authorities than fit into a plan, in files as in place", async () => {
    const ca = authority.certificate.repeat(50);
    const hosts = ["a.example", "b.example", "c.example"];
    assert.match(
      refusal(() => parse({ registries: hosts.map(host => ({ host, ca })) })),
      /131072 fit into a plan/,
    );
    const caFile = await file("ca.pem", authority.certificate.repeat(150));
    const path = await file("config.json", JSON.stringify({ ...minimal, registries: [{ host: "a.example", caFile }] }));
    await assert.rejects(loadConfig(path), /131072 fit into a plan/);
  });

  it("reads the client's key for this process alone: no plan gets it", async () => {
    const clientCertFile = await file("tls.crt", authority.certificate);
    const clientKeyFile = await file("tls.key", authority.privateKey);
    const config = registry({ clientCertFile, clientKeyFile });
    const options = await registryOptions(config);
    assert.deepEqual(options.registries?.[0]?.clientCertificate, {
      certificate: authority.certificate,
      key: authority.privateKey,
    });
    assert.deepEqual(registryTerms(config), { registries: [{ host: "a.example", plainHttp: false }] });
    assert.ok(!JSON.stringify(config).includes("PRIVATE KEY"));
  });

  it("refuses a key that is not the certificate's, or none, without showing it", async () => {
    const clientCertFile = await file("tls.crt", authority.certificate);
    const clientKeyFile = await file("tls.key", other.privateKey);
    await assert.rejects(
      registryOptions(registry({ clientCertFile, clientKeyFile })),
      /registries\.0: clientKeyFile is not the key of clientCertFile/,
    );
    await writeFile(clientKeyFile, "hunter2");
    await assert.rejects(registryOptions(registry({ clientCertFile, clientKeyFile })), (error: Error) => {
      assert.match(error.message, /must be PEM/);
      return !error.message.includes("hunter2");
    });
    await rm(clientKeyFile);
    await assert.rejects(registryOptions(registry({ clientCertFile, clientKeyFile })), /can't read .*tls\.key/);
  });

  const wrong: readonly (readonly [more: object, message: RegExp])[] = [
    [{ plainHttp: true, insecureTls: true }, /has plainHttp, so insecureTls would mean nothing/],
    [{ plainHttp: true, caFile: "ca.pem" }, /has plainHttp, so caFile would mean nothing/],
    [{ insecureTls: true, caFile: "ca.pem" }, /has insecureTls, so its authorities mean nothing/],
    [{ clientCertFile: "tls.crt" }, /needs both clientCertFile and clientKeyFile/],
    [{ clientKeyFile: "tls.key" }, /needs both clientCertFile and clientKeyFile/],
    [
      { mirrors: [{ host: "https://b.example" }] },
      /registries\.0\.mirrors\.0\.host is "https:\/\/b\.example": write a host/,
    ],
    [{ mirrors: [{ host: "a.example" }] }, /registries\.0\.mirrors\.0 is the registry itself/],
    [{ mirrors: [{ host: "b.example", prefix: "/x" }] }, /prefix is "\/x": write the beginning of a repository's name/],
    [{ mirrors: [{ host: "b.example", prefix: "x/../y" }] }, /prefix is/],
    [{ mirrors: [{ host: "b.example", prefix: "x?y" }] }, /prefix is/],
    [{ skipVerify: true }, /unknown key skipVerify/],
  ];
  for (const [more, message] of wrong) {
    it(`refuses ${JSON.stringify(more)}`, () =>
      assert.match(
        refusal(() => registry(more)),
        message,
      ));
  }

  it("refuses two entries of one registry", () => {
    const registries = [{ host: "a.example" }, { host: "a.example", plainHttp: true }];
    assert.match(
      refusal(() => parse({ registries })),
      /registries\.1 \(a\.example\) is there twice/,
    );
  });

  it("hands mirrors to the plan", () => {
    const mirrors = [{ host: "b.example:5000", prefix: "proxy/hub" }];
    assert.deepEqual(registryTerms(registry({ insecureTls: true, mirrors })).registries, [
      {
        host: "a.example",
        plainHttp: false,
        insecureTls: true,
        mirrors: [{ host: "b.example:5000", prefix: "proxy/hub", resolveTags: false }],
      },
    ]);
  });
});

describe("configuration of the network", () => {
  const network = (more: object) => parse({ network: more });

  it("denies private addresses unless told otherwise, and says nothing of it in plans", async () => {
    const config = parse({});
    assert.equal(config.network.privateAddresses, "Deny");
    assert.equal((await registryOptions(config)).privateAddresses, "Deny");
    assert.deepEqual(registryTerms(config), { registries: [] });
    assert.deepEqual(registryTerms(network({ privateAddresses: "Allow" })).network, {
      privateAddresses: "Allow",
      proxy: null,
    });
  });

  it("gives the proxy's credentials to this process alone: no plan gets them", async () => {
    const folder = await mkdtemp(join(tmpdir(), "wasmount-config-"));
    try {
      const credentialsFile = join(folder, "proxy");
      await writeFile(credentialsFile, "us@er:hun:ter2\n");
      const config = network({ proxy: { https: "http://proxy.example:3128", no: ".svc", credentialsFile } });
      assert.deepEqual((await registryOptions(config)).proxy, {
        http: null,
        https: "http://us%40er:hun%3Ater2@proxy.example:3128/",
        no: ".svc",
      });
      assert.deepEqual(registryTerms(config).network, {
        privateAddresses: "Deny",
        proxy: { http: null, https: "http://proxy.example:3128", no: ".svc" },
      });
      await writeFile(credentialsFile, "hunter2");
      await assert.rejects(registryOptions(config), (error: Error) => {
        assert.match(error.message, /must hold user:password/);
        return !error.message.includes("hunter2");
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  const wrong: readonly (readonly [proxy: object, message: RegExp])[] = [
    [{ https: "http://user:hunter2@proxy.example" }, /^(?!.*hunter2).*network\.proxy\.https holds credentials/],
    [{ https: "socks5://proxy.example" }, /supported are http and https/],
    [{ http: "proxy" }, /network\.proxy\.http is no URL: write http:\/\/host:port/],
    [{ credentialsFile: "x" }, /has a credentialsFile, but no proxy/],
  ];
  for (const [proxy, message] of wrong) {
    it(`refuses ${JSON.stringify(proxy).replace("hunter2", "…")}`, () =>
      assert.match(
        refusal(() => network({ proxy })),
        message,
      ));
  }
});
