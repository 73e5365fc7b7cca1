import assert from "node:assert/strict";
import { editBootstrap } from "../../src/envoy/bootstrap.ts";
import { fixtureEdit } from "./fixtures.ts";

const listeners = `
static_resources:
  listeners:
    - filter_chains:
        - filters:
            - typed_config:
                "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                http_filters:
                  - {name: r, typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
`;
const portOf = (admin: string) => editBootstrap(admin + listeners, fixtureEdit("x.yaml")).adminPort;

describe("the port of Envoy's administration interface", () => {
  for (const [admin, port] of [
    ["admin: {address: {socket_address: {address: 127.0.0.1, port_value: 9901}}}", 9901],
    ['admin: {address: {socketAddress: {address: "::1", portValue: "9901"}}}', 9901],
    ["admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0}}}", null],
    ["admin: {address: {socket_address: {address: 127.0.0.1, port_value: 65536}}}", null],
    ["admin: {address: {socket_address: {address: 127.0.0.1, port_value: 0x26ad}}}", null],
    ["admin: {address: {socket_address: {address: 127.0.0.1, named_port: http}}}", null],
    ["admin: {address: {pipe: {path: /run/envoy.sock}}}", null],
    ["admin: [1]", null],
    ["admin:", null],
    ["", null],
  ] as const) {
    it(`is ${port} in ${JSON.stringify(admin)}`, () => assert.equal(portOf(admin), port));
  }
});
