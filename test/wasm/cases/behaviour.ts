import { ids, moduleBytes } from "../encoder.ts";
import { filter, filterSections } from "../filter.ts";
import { type Case, malloc } from "./case.ts";

const trap = [0x00];
/** i32.const 0, for each of the parameters; call of the first import; drop of its result. */
const callImport = (parameters: number) => [...new Array<number[]>(parameters).fill([0x41, 0]).flat(), 0x10, 0, 0x1a];
const unread =
  "the check doesn't read function bodies, data or elements; Envoy's engine does, and the filter's place denies";
const unrun = "the check runs nothing; Envoy does, and the filter's place denies";

/** Cases of what a module does or holds beyond its sections: good by the check's rules, whatever Envoy says. */
export const behaviourCases: readonly Case[] = [
  {
    name: "a body with a type error",
    module: filter({ bodies: { malloc: [] } }),
    problems: [],
    envoy: "refuses",
    difference: unread,
  },
  {
    name: "code that isn't bodies",
    module: moduleBytes(
      filterSections().map(section => (section.id === ids.code ? { ...section, payload: [2, 9, 9] } : section)),
    ),
    problems: [],
    envoy: "refuses",
    difference: unread,
  },
  {
    name: "data for a memory that isn't there",
    module: filter({ data: [[2, 7, 0x41, 0, 0x0b, 0]] }),
    problems: [],
    envoy: "refuses",
    difference: unread,
  },
  {
    name: "data beyond the memory's end",
    module: filter({ data: [[0, 0x41, 0xff, 0xff, 0x3f, 0x0b, 1, 0]] }),
    problems: [],
    envoy: "refuses",
    difference: unread,
  },
  {
    name: "elements for a table that isn't there",
    module: filter({ elements: [[0, 0x41, 0, 0x0b, 1, 0]] }),
    problems: [],
    envoy: "refuses",
    difference: unread,
  },
  {
    name: "a global of another type than its constant",
    module: filter({ globals: [[0x7f, 0, 0x42, 0, 0x0b]] }),
    problems: [],
    envoy: "refuses",
    difference: "the check finds where a constant expression ends and doesn't type it; Envoy's engine does",
  },
  {
    name: "a start function that traps",
    module: filter({ functions: { ...malloc, run: ":" }, bodies: { run: trap }, start: 2 }),
    problems: [],
    envoy: "refuses",
    difference: unrun,
  },
  {
    name: "_initialize that traps",
    module: filter({ functions: { ...malloc, _initialize: ":" }, bodies: { _initialize: trap } }),
    problems: [],
    envoy: "refuses",
    difference: unrun,
  },
  {
    name: "_initialize that logs, one of the few things that it may",
    module: filter({
      imports: [["env", "proxy_log", "iii:i"]],
      functions: { ...malloc, _initialize: ":" },
      bodies: { _initialize: callImport(3) },
    }),
    problems: [],
    envoy: "accepts",
  },
  ...["_initialize", "_start"].map(
    (start): Case => ({
      name: `${start} that makes a host call which is only for callbacks`,
      module: filter({
        imports: [["env", "proxy_get_buffer_status", "iii:i"]],
        functions: { ...malloc, [start]: ":" },
        bodies: { [start]: callImport(3) },
      }),
      problems: [],
      envoy: "refuses",
      difference: unrun,
    }),
  ),
  {
    name: "a configuration that is refused",
    module: filter({ functions: { ...malloc, proxy_on_configure: "ii:i" } }),
    problems: [],
    envoy: "refuses",
    difference: unrun,
  },
  {
    name: "a configuration that is accepted",
    module: filter({ functions: { ...malloc, proxy_on_configure: "ii:i" }, bodies: { proxy_on_configure: [0x41, 1] } }),
    problems: [],
    envoy: "accepts",
  },
];
