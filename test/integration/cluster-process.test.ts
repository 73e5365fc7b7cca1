import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { locked } from "../environment/cluster/lock.ts";
import { isRunning, readRecord, startDetached, stopRecorded } from "../environment/cluster/process.ts";

describe("a detached process of the cluster", () => {
  let folder: string;
  let pidFile: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-process-"));
    pidFile = join(folder, "sleep.pid");
  });

  afterEach(async () => {
    const record = await readRecord(pidFile);
    if (record) await stopRecorded(record, pidFile, 0);
    await rm(folder, { recursive: true, force: true });
  });

  const start = (command: string, args: readonly string[]) =>
    startDetached({ command, args, env: process.env, cwd: folder, logFile: join(folder, "log"), pidFile });

  it("is known by its pid file and ended by it", async () => {
    await start("sleep", ["60"]);
    const record = await readRecord(pidFile);
    assert.ok(record);
    assert.equal(await isRunning(record), true);
    await stopRecorded(record, pidFile, 1000);
    assert.equal(await isRunning(record), false);
    assert.equal(existsSync(pidFile), false);
  });

  it("is not mistaken for a later process with its pid", async () => {
    const record = await start("sleep", ["60"]);
    const earlier = { ...record, identity: "an earlier start" };
    assert.equal(await isRunning(earlier), false);
    await stopRecorded(earlier, join(folder, "other.pid"), 1000);
    assert.equal(await isRunning(record), true);
  });

  it("that ignores SIGTERM is killed", async () => {
    const program = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)";
    const record = await start(process.execPath, ["--eval", program]);
    await new Promise(resolve => setTimeout(resolve, 300));
    await stopRecorded(record, pidFile, 200);
    assert.equal(await isRunning(record), false);
  });

  it("whose program is not there is an error that names it", async () => {
    await assert.rejects(start("/nowhere/etcd", []), /can't start \/nowhere\/etcd/);
  });
});

describe("the lock of the cluster", () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "wasmount-lock-"));
    path = join(folder, "lock");
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  it("lets one at a time in", async () => {
    const order: string[] = [];
    const work = (name: string) =>
      locked(path, 5000, async () => {
        order.push(`${name} in`);
        await new Promise(resolve => setTimeout(resolve, 50));
        order.push(`${name} out`);
      });
    await Promise.all([work("a"), work("b")]);
    assert.equal(order[0]?.[0], order[1]?.[0]);
    assert.equal(order[2]?.[0], order[3]?.[0]);
  });

  it("of a process that has ended is taken over", async () => {
    const child = spawn("true");
    await new Promise(resolve => child.on("close", resolve));
    await writeFile(path, JSON.stringify({ pid: child.pid, identity: "whatever" }));
    assert.equal(await locked(path, 0, async () => "in"), "in");
    assert.equal(existsSync(path), false);
  });

  it("is refused, naming its holder, when that goes on", async () => {
    const inside = locked(path, 0, () => locked(path, 0, async () => "in"));
    await assert.rejects(inside, new RegExp(`process ${process.pid} is already working`));
  });
});
