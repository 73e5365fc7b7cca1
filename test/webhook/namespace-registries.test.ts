import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { Writable } from "node:stream";
import { inspect } from "node:util";
import { pino } from "pino";
import type { AdmissionConfig } from "../../src/admission/admission.ts";
import { reviewResponse } from "../../src/admission/response.ts";
import { parseConfig } from "../../src/config/load.ts";
import { envoyDataPlane } from "../../src/dataplanes/envoy.ts";
import { eventOf } from "../../src/observe/decision-events.ts";
import { createMetrics } from "../../src/observe/metrics.ts";
import { observer } from "../../src/observe/observer.ts";
import type { Credential, CredentialSource } from "../../src/oci/credentials.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { RegistryError } from "../../src/oci/error.ts";
import { OCI_MANIFEST } from "../../src/oci/media-types.ts";
import { parseReference } from "../../src/oci/reference.ts";
import type { ResolvedTag } from "../../src/oci/tag-resolver.ts";
import { planToEnvironment } from "../../src/plan/transport.ts";
import { mutation } from "../../src/webhook/decide.ts";
import { NamespaceRegistries, type NamespaceRegistriesOptions } from "../../src/webhook/namespace-registries.ts";
import type { NamespaceCredentials } from "../../src/webhook/registry-credentials.ts";
import { sampleNamespace, samplePod } from "../admission/pods.ts";
import { type Script, type ScriptedServer, Stage } from "../oci/scripted-server.ts";
import { noPolicies } from "./no-policies.ts";

const digest = digestOf(Buffer.from("{}"));
const SECRETS = /hunter2|aHVudGVyMg|refresh-me|cmVmcmVzaC1tZ|registry-bearer|signed-bearer/;

describe("tags of a namespace", () => {
  const stage = new Stage();
  afterEach(() => stage.clear());

  const login: Credential = { kind: "password", username: "operator", password: "hunter2" };

  /** A registry that shows its one image to whoever has a token, which its realm gives to the operator alone. */
  async function registryOf(behaviour: { head?: Script; token?: Script } = {}): Promise<ScriptedServer> {
    const token: Script =
      behaviour.token ??
      ((request, response) => {
        const known = request.headers.authorization?.startsWith("Basic ");
        response.writeHead(known ? 200 : 401).end(known ? '{"token":"signed-bearer"}' : "");
      });
    const head: Script = behaviour.head ?? ((_request, response) => found(response));
    const server: ScriptedServer = await stage.serve((request, response, body) => {
      if (request.url?.startsWith("/token")) return token(request, response, body);
      if (request.headers.authorization?.startsWith("Bearer ")) return head(request, response, body);
      const challenge = `Bearer realm="http://${server.address}/token",service="reg"`;
      response.writeHead(401, { "www-authenticate": challenge }).end();
    });
    return server;
  }

  function found(response: ServerResponse): void {
    const headers = { "content-type": OCI_MANIFEST, "content-length": "2", "docker-content-digest": digest };
    response.writeHead(200, headers).end();
  }

  function tagsOf(
    server: ScriptedServer,
    served: Readonly<Record<string, readonly Credential[]>>,
  ): NamespaceRegistries {
    const credentials = new Map<string, NamespaceCredentials>(
      Object.entries(served).map(([namespace, own]) => [
        namespace,
        {
          source: (_registry, repository) => (repository.startsWith("team/") ? own : []),
          serve: (_registry, repository) => repository.startsWith("team/"),
        },
      ]),
    );
    return registriesOf(credentials, source => stage.client([server], { credentials: source }));
  }

  const at = (server: ScriptedServer, name = "team/filter:v1") => parseReference(`${server.address}/${name}`);
  const tokenRequests = (server: ScriptedServer) => server.seen.filter(({ url }) => url.startsWith("/token"));

  function registriesOf(
    credentials: NamespaceRegistriesOptions["credentials"],
    open: NamespaceRegistriesOptions["open"],
  ): NamespaceRegistries {
    return new NamespaceRegistries({ credentials, open, budgetMs: 60_000, unmatched: "Warn", unread: () => {} });
  }

  function problemOf(answer: ResolvedTag): { problem: string; cause: string } {
    return "problem" in answer ? answer : assert.fail(`a problem was expected, not ${answer.digest}`);
  }

  it("are resolved with the credentials that serve it", async () => {
    const server = await registryOf();
    assert.deepEqual(await tagsOf(server, { shop: [login] }).resolve(at(server), "shop"), { digest });
  });

  it("are not resolved with what was learned for another: not its answers, not its tokens", async () => {
    const server = await registryOf();
    const tags = tagsOf(server, { shop: [login] });
    await tags.resolve(at(server), "shop");
    const { cause } = problemOf(await tags.resolve(at(server), "stranger"));
    assert.match(cause, /^Unauthorized/);
  });

  it("are not resolved by another's question that is still open", async () => {
    const held: ServerResponse[] = [];
    const server = await registryOf({ head: (_request, response) => void held.push(response) });
    const tags = tagsOf(server, { shop: [login], till: [] });
    const open = tags.resolve(at(server), "shop");
    while (held.length === 0) await new Promise(setImmediate);
    for (const stranger of ["stranger", "till"]) problemOf(await tags.resolve(at(server), stranger));
    for (const response of held) found(response);
    assert.deepEqual(await open, { digest });
  });

  it("are asked for with a token of its own, whoever has the same credentials", async () => {
    const server = await registryOf();
    const tags = tagsOf(server, { shop: [login], till: [login] });
    for (const namespace of ["shop", "till", "shop"]) await tags.resolve(at(server), namespace);
    assert.equal(tokenRequests(server).length, 2);
  });

  const unseen: [what: string, behaviour: Parameters<typeof registryOf>[0], cause: RegExp][] = [
    ["the realm refuses", { token: (_request, response) => void response.writeHead(401).end() }, /^Unauthorized/],
    ["is denied", { head: (_request, response) => void response.writeHead(403).end() }, /^Denied/],
    ["is absent", { head: (_request, response) => void response.writeHead(404).end() }, /^NotFound/],
    ["is unreadable", { head: (_request, response) => void response.writeHead(200).end() }, /^Bad/],
    ["is limited", { head: (_request, response) => void response.writeHead(429).end() }, /^RateLimited/],
    ["fails", { head: (_request, response) => void response.writeHead(500).end() }, /^Server/],
  ];
  it("read the same to its people whatever the operator's credentials found, and differ in the log", async () => {
    const problems: string[] = [];
    for (const [, behaviour, cause] of unseen) {
      const server = await registryOf(behaviour);
      const answer = problemOf(await tagsOf(server, { shop: [login] }).resolve(at(server), "shop"));
      assert.match(answer.cause, cause);
      problems.push(answer.problem.replace(server.address, "registry"));
    }
    assert.deepEqual(
      [...new Set(problems)],
      ["registry/team/filter:v1 does not exist, or can't be read; the webhook's log says why"],
    );
  });

  it("say what the registry says where the operator has no credentials for them", async () => {
    const server = await registryOf();
    const tags = tagsOf(server, { shop: [login] });
    const { problem } = problemOf(await tags.resolve(at(server, "public/filter:v1"), "shop"));
    assert.match(problem, /wants credentials and there are none for it/);
  });

  it("whose credentials can't be read are not asked for anonymously, and the log says why", async () => {
    const server = await registryOf();
    const broken: NamespaceCredentials = {
      source: async () => {
        throw new RegistryError("BadCredentials", "the docker configuration /a does not exist");
      },
      serve: () => true,
    };
    const open = (credentials: CredentialSource) => stage.client([server], { credentials });
    const tags = registriesOf(new Map([["shop", broken]]), open);
    const { problem, cause } = problemOf(await tags.resolve(at(server), "shop"));
    assert.match(problem, /team\/filter:v1 does not exist, or can't be read; the webhook's log says why$/);
    assert.match(cause, /^BadCredentials: .*the docker configuration \/a does not exist$/);
    assert.equal(server.seen.length, 0);
  });

  describe("leave no secret behind", () => {
    const kinds: Credential[] = [
      login,
      { kind: "identityToken", username: "operator", token: "refresh-me" },
      { kind: "registryToken", token: "registry-bearer" },
    ];
    /** Says everything back that it hears. */
    const parrot =
      (status: number): Script =>
      (request, response, body) => {
        const { authorization = "" } = request.headers;
        const heard = `${authorization} ${Buffer.from(authorization.split(" ")[1] ?? "", "base64")} ${body}`;
        response.writeHead(status, { "content-type": "application/json" });
        response.end(JSON.stringify({ errors: [{ code: heard, message: heard }], token: status === 200 ? heard : "" }));
      };

    for (const status of [200, 400, 401, 403, 404, 500]) {
      it(`in decision, answer, log, Event and metrics when registry and realm say it back with ${status}`, async () => {
        const lines: string[] = [];
        const output = new Writable({
          write(chunk, _encoding, done) {
            lines.push(String(chunk));
            done();
          },
        });
        const metrics = createMetrics();
        for (const credential of kinds) {
          for (const token of [parrot(status), undefined]) {
            const server = await registryOf({ head: parrot(status), ...(token && { token }) });
            const tags = tagsOf(server, { shop: [credential] });
            const operator = parseConfig(
              JSON.stringify({ tls: { certFile: "a", keyFile: "b" }, fetcher: { image: "r.example/w:1" } }),
              "test",
            );
            const config: AdmissionConfig = { ...operator, pack: planToEnvironment, sign: null, keys: new Map() };
            const pod = samplePod({ annotations: { "wasmount.dev/module.a": `${server.address}/team/filter:v1` } });
            const namespace = { ...sampleNamespace(), name: "shop", labels: { "wasmount.dev/inject": "true" } };
            const decide = mutation(() => config, [envoyDataPlane], {
              namespaces: { get: async () => namespace, getNow: async () => namespace },
              limitsOf: async () => [],
              resolve: (reference, request) => tags.resolve(reference, request.namespace),
              ...noPolicies,
            });
            const decision = await decide({ pod, namespace: "shop", entry: "namespace", dryRun: false });
            assert.equal(decision.reason, "TagUnresolved", inspect(decision));
            observer(
              pino({}, output),
              metrics,
              (...told) => void lines.push(inspect(eventOf(...told), { depth: 9 })),
            ).decided({
              side: "mutate",
              entry: "namespace",
              uid: "u",
              namespace: "shop",
              dryRun: false,
              seconds: 0,
              decision,
              pod,
              answered: true,
            });
            lines.push(inspect(decision, { depth: 9 }), JSON.stringify(reviewResponse("u", decision)));
          }
        }
        assert.ok(lines.length >= 24);
        assert.doesNotMatch(`${lines.join("\n")}${(await metrics.expose()).text}`, SECRETS);
      });
    }
  });
});
