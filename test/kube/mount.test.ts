import assert from "node:assert/strict";
import { posix } from "node:path";
import fc from "fast-check";
import { cleanPath, coveringMount, isWithin, pathBelow } from "../../src/kube/mount.ts";

describe("mount paths", () => {
  it("are cleaned as the kernel would walk them", () => {
    assert.equal(cleanPath("/a//b/./c/../d/"), "/a/b/d");
    assert.equal(cleanPath("/../../etc"), "/etc");
    assert.equal(cleanPath("relative"), "/relative");
    assert.equal(cleanPath("/"), "/");
    assert.equal(cleanPath("/a/"), "/a");
    assert.equal(cleanPath("/a/.hidden"), "/a/.hidden");
    assert.equal(cleanPath(""), "/");
  });

  it("are what POSIX makes of them, however they are written", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("/", ".", "a", "/.", "..", "/var/run") }), path => {
        const normal = posix.normalize(`/${path}`).replace(/(.)\/$/, "$1");
        assert.equal(cleanPath(path), normal.replace(/^\/var\/run(?=\/|$)/, "/run"));
      }),
    );
  });

  it("treat /var/run as the link to /run that it is", () => {
    assert.equal(cleanPath("/var/run/x"), "/run/x");
    assert.equal(cleanPath("/var//./run"), "/run");
    assert.equal(cleanPath("/var/running"), "/var/running");
  });

  it("lie within a folder by whole names only", () => {
    assert.ok(isWithin("/wasmount/filters", "/wasmount"));
    assert.ok(isWithin("/wasmount/", "/wasmount"));
    assert.ok(isWithin("/x/../wasmount/a", "/wasmount"));
    assert.ok(isWithin("/run/w/filters", "/var/run/w"));
    assert.ok(isWithin("/anything", "/"));
    assert.ok(!isWithin("/wasmount-source", "/wasmount"));
    assert.ok(!isWithin("/", "/wasmount"));
  });

  it("come from the deepest mount above them", () => {
    const mounts = [
      { name: "etc", mountPath: "/etc" },
      { name: "config", mountPath: "/etc/envoy/" },
      { name: "near", mountPath: "/etc/env" },
    ];
    assert.equal(coveringMount("/etc/envoy/envoy.yaml", mounts)?.name, "config");
    assert.equal(coveringMount("/etc/passwd", mounts)?.name, "etc");
    assert.equal(coveringMount("/srv/envoy.yaml", mounts), null);
    assert.equal(pathBelow("/etc/envoy/a/b.yaml", "/etc/envoy/"), "a/b.yaml");
    assert.equal(pathBelow("/etc/envoy", "/etc/envoy"), "");
  });
});
