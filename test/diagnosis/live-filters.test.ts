import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { ClusterView } from "../../src/diagnosis/cluster-view.ts";
import { readStatistics } from "../../src/diagnosis/envoy-statistics.ts";
import { DiagnosisError } from "../../src/diagnosis/error.ts";
import { type LiveFilter, withLiveFilters } from "../../src/diagnosis/live-filters.ts";
import type { FilterReport, PodReport, ProxyReport } from "../../src/diagnosis/pod-report.ts";
import { isWrong, surveyText } from "../../src/diagnosis/survey-text.ts";
import { PLAIN } from "../../src/diagnosis/table.ts";
import { until } from "../environment/until.ts";
import { recordedCluster } from "./recorded-cluster.ts";

const WANTED = "b".repeat(64);
const now = new Date("2026-01-02T00:00:00Z");

function filter(name: string, slot: string, version: string | null = WANTED): FilterReport {
  return {
    name,
    slot,
    reference: "r/x:1",
    repository: "r/x",
    digest: `sha256:${"a".repeat(64)}`,
    policies: [],
    version,
  };
}

function pod(
  proxy: Partial<ProxyReport> = {},
  filters: readonly FilterReport[] = [filter("headers", "in-last-01")],
): PodReport {
  return {
    namespace: "shop",
    pod: "cart-0",
    owner: null,
    created: "2026-01-01T00:00:00Z",
    state: "Mounted",
    code: null,
    detail: "",
    outdated: null,
    plan: "0123456789abcdef".repeat(4),
    proxy: { dataPlane: "istio", running: true, adminPort: 15_000, ...proxy },
    filters,
  };
}

const line = (slot: string, version: string) =>
  `extension_config_discovery.http_filter.wasmount.${slot}.version_text: "${version}"\n`;
const answer = (body: string) => `HTTP/1.1 200 OK\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

describe("what Envoy serves of a pod's filters", () => {
  let server: Server;
  /** What a pod's owner runs in place of Envoy. */
  let speak: (socket: Socket) => void;
  let asked: string[] = [];
  let places: Parameters<ClusterView["connect"]>[0][] = [];
  const open = new Set<Socket>();

  before(async () => {
    server = createServer(socket => {
      open.add(socket.on("error", () => {}).on("close", () => open.delete(socket)));
      socket.once("data", bytes => {
        asked.push(bytes.toString("latin1"));
        speak(socket);
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  });

  beforeEach(() => {
    asked = [];
    places = [];
  });

  after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });

  const cluster = recordedCluster({
    connect: async place => {
      places.push(place);
      const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
      await once(socket, "connect");
      return socket;
    },
  });

  async function told(text: string, report = pod(), patience = 5_000): Promise<LiveFilter> {
    speak = socket => socket.end(text);
    const [found] = await withLiveFilters(cluster, [report], patience);
    return found?.filters[0]?.live ?? assert.fail("nothing was said");
  }

  it("is the version that the fetcher wrote", async () => {
    const said = await told(answer(line("in-last-02", "other") + line("in-last-01", WANTED)));
    assert.deepEqual(said, { state: "serving", version: WANTED, wanted: WANTED, why: "" });
    assert.deepEqual(places, [{ namespace: "shop", pod: "cart-0", port: 15_000 }]);
    assert.match(asked[0] ?? "", /^GET \/stats\?filter=\S*version_text HTTP\/1\.1\r\n/);
  });

  it("is another, or none, or one of several", async () => {
    assert.deepEqual(await told(answer(line("in-last-01", "changed"))), {
      state: "differs",
      version: "changed",
      wanted: WANTED,
      why: "",
    });
    assert.equal((await told(answer(line("in-last-01", "")))).state, "denying");
    const both = line("in-last-01", WANTED) + line("in-last-01", "changed");
    assert.deepEqual((await told(answer(both))).state, "differs");
  });

  it("is unknown where Envoy or the fetcher does not say", async () => {
    const missing = await told(answer(line("in-last-02", WANTED)));
    assert.deepEqual([missing.state, missing.version], ["unknown", null]);
    assert.match(missing.why, /no statistic of the filter/);
    const silent = await told(answer(line("in-last-01", "x")), pod({}, [filter("headers", "in-last-01", null)]));
    assert.deepEqual([silent.state, silent.version], ["unknown", "x"]);
    assert.match(silent.why, /last words/);
  });

  it("is not asked for where no port is known, nor of a pod that does not run", async () => {
    const unknown = await told("", pod({ adminPort: null }));
    assert.deepEqual([unknown.state, asked.length, places.length], ["unknown", 0, 0]);
    assert.match(unknown.why, /port .* not known/);
    const versionless = await told("", pod({ dataPlane: "consul", adminPort: null }));
    assert.match(versionless.why, /^data plane consul .* no version$/);
    const waiting = pod({ running: false });
    assert.deepEqual(await withLiveFilters(cluster, [waiting, { ...waiting, proxy: null }]), [
      waiting,
      { ...waiting, proxy: null },
    ]);
    assert.equal(places.length, 0);
  });

  it("names the right that is missing", async () => {
    const refused = recordedCluster({
      connect: () =>
        Promise.reject(new DiagnosisError("RightMissing", "the right to create pods/portforward is missing")),
    });
    const [found] = await withLiveFilters(refused, [pod()]);
    assert.deepEqual(found?.filters[0]?.live?.why, "the right to create pods/portforward is missing");
    assert.equal(isWrong(found), false);
  });

  describe("from a pod whose owner is hostile", () => {
    const closed = () => until("all connections to be closed", () => open.size === 0, { seconds: 8, pauseMs: 10 });

    it("is unknown where it is endless, and the connection is closed", async () => {
      speak = socket => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        const more = () => {
          while (!socket.destroyed && socket.write("x".repeat(65_536)));
        };
        socket.on("drain", more);
        more();
      };
      const [found] = await withLiveFilters(cluster, [pod()], 600_000);
      assert.match(found?.filters[0]?.live?.why ?? "", /more than 262144 bytes/);
      await closed();
    });

    it("is unknown where nothing comes, or drips", async () => {
      speak = () => {};
      const [silent] = await withLiveFilters(cluster, [pod()], 50);
      assert.match(silent?.filters[0]?.live?.why ?? "", /in time/);
      speak = socket => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        const dripping = setInterval(() => socket.write("x"), 10);
        socket.once("close", () => clearInterval(dripping));
      };
      const [drips] = await withLiveFilters(cluster, [pod()], 200);
      assert.match(drips?.filters[0]?.live?.why ?? "", /in time/);
    });

    it("is unknown where no connection comes of it", async () => {
      const stuck = recordedCluster({ connect: () => new Promise(() => {}) });
      const [found] = await withLiveFilters(stuck, [pod()], 50);
      assert.match(found?.filters[0]?.live?.why ?? "", /no connection in time/);
    });

    it("is unknown where it is no HTTP, or a failure", async () => {
      assert.match((await told("\x16\x03 no http\r\n\r\n")).why, /can't be read/);
      assert.match(
        (await told("HTTP/1.1 302 Found\r\nlocation: http://x/\r\ncontent-length: 0\r\n\r\n")).why,
        /HTTP 302/,
      );
      assert.match((await told("")).why, /can't be read/);
      assert.match((await told(`HTTP/1.1 200 OK\r\nx: ${"y".repeat(100_000)}\r\n\r\n`)).why, /can't be read/);
    });

    it("is given up on where a failure goes on and on", async () => {
      speak = socket => socket.write("HTTP/1.1 500 Oops\r\n\r\nand then");
      const [found] = await withLiveFilters(cluster, [pod()], 600_000);
      assert.match(found?.filters[0]?.live?.why ?? "", /HTTP 500/);
      await closed();
    });

    it("is text that a terminal can be given, and short", async () => {
      speak = socket => socket.end(answer(line("in-last-01", `\u001b[2J${"x".repeat(10_000)}`)));
      const reports = await withLiveFilters(cluster, [pod()]);
      assert.equal(reports[0]?.filters[0]?.live?.version?.length, 128);
      const text = surveyText(reports, { terminal: PLAIN, withNamespace: false, now });
      assert.ok(!text.includes("\u001b"), text);
    });

    it("says nothing of names that are not ours", () => {
      const lines = [
        'extension_config_discovery.http_filter.other.version_text: "x"',
        'xextension_config_discovery.http_filter.wasmount.in-last-01.version_text: "x"',
        "extension_config_discovery.http_filter.wasmount.in-last-01.version_text: x",
        'extension_config_discovery.http_filter.wasmount.in/last.version_text: "x"',
      ];
      assert.deepEqual([...readStatistics(lines.join("\n"))], []);
      const prefixed = 'listener.extension_config_discovery.http_filter.wasmount.a.version_text: "x"\r\n';
      assert.deepEqual([...readStatistics(prefixed)], [["wasmount.a", ["x"]]]);
    });
  });

  it("is asked of eight pods at a time", async () => {
    let most = 0;
    let now = 0;
    const counted = recordedCluster({
      connect: async () => {
        most = Math.max(most, ++now);
        await new Promise(resolve => setImmediate(resolve));
        now--;
        throw new DiagnosisError("Unreachable", "nobody listens");
      },
    });
    const reports = Array.from({ length: 50 }, (_, index) => ({ ...pod(), pod: `cart-${index}` }));
    const found = await withLiveFilters(counted, reports);
    assert.equal(most, 8);
    assert.deepEqual(
      found.map(one => [one.pod, one.filters[0]?.live?.why]),
      reports.map(one => [one.pod, "nobody listens"]),
    );
    const many = Array.from({ length: 2_001 }, () => pod());
    await assert.rejects(withLiveFilters(counted, many), { code: "TooMany" });
  });

  it("is a column, with what is wrong below", async () => {
    const versions: Readonly<Record<string, string>> = {
      "in-last-01": WANTED,
      "in-last-02": "changed",
      "in-last-03": "",
    };
    speak = socket =>
      socket.end(
        answer(
          Object.entries(versions)
            .map(([slot, version]) => line(slot, version))
            .join(""),
        ),
      );
    const of = (name: string, ...filters: FilterReport[]) => ({ ...pod({}, filters), pod: name });
    const reports = await withLiveFilters(cluster, [
      of("good", filter("a", "in-last-01")),
      of("mute", filter("a", "out-last-01")),
      of("bad", filter("a", "in-last-01"), filter("b", "in-last-02"), filter("c", "in-last-03")),
      { ...of("young", filter("a", "in-last-01")), state: "Waiting", proxy: null },
    ]);
    assert.equal(
      surveyText(reports, { terminal: PLAIN, withNamespace: false, now }),
      `POD    STATE    LIVE     FILTERS                                         PLAN          AGE
good   Mounted  serving  a@aaaaaaaaaaaa                                  0123456789ab  24h
mute   Mounted  unknown  a@aaaaaaaaaaaa                                  0123456789ab  24h
bad    Mounted  differs  a@aaaaaaaaaaaa, b@aaaaaaaaaaaa, c@aaaaaaaaaaaa  0123456789ab  24h
young  Waiting  -        a@aaaaaaaaaaaa                                  0123456789ab  24h

shop/bad: filter b differs: Envoy serves version changed, its filter file was written as bbbbbbbbbbbb
  filter c is denying: Envoy has loaded nothing, so that all requests are denied
shop/mute: filter a is unknown: Envoy has no statistic of the filter: no listener has it, or the statistics are left out
4 pods: 3 mounted, 1 waiting
`,
    );
    assert.deepEqual(reports.map(isWrong), [false, false, true, false]);
  });
});
