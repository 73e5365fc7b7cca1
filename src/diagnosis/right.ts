const VERBS: Readonly<Record<string, string>> = { POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" };

/**
 * The right that a call needs, in words, as RBAC has it: "list pods in namespace shop".
 * @param path of the API server, without its query
 */
export function rightOf(method: string, path: string): string {
  const [, api, ...rest] = path.split("/");
  const group = api === "apis" ? rest.shift() : "";
  rest.shift();
  const inside = rest[0] === "namespaces" && rest.length > 2;
  const where = inside ? ` in namespace ${rest[1]}` : "";
  const [resource = path, name, subresource] = inside ? rest.slice(2) : rest;
  const verb = method === "GET" ? (name === undefined ? "list" : "get") : (VERBS[method] ?? method.toLowerCase());
  const whole = subresource === undefined ? resource : `${resource}/${subresource}`;
  const spelled = group ? `${whole}.${group}` : whole;
  const subject = name === undefined ? spelled : `${spelled} ${name.replace(/^https?:|:[^:]*$/g, "")}`;
  return `${verb} ${subject}${where || (name === undefined ? " of the whole cluster" : "")}`;
}
