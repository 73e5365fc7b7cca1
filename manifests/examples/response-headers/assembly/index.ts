// A filter that adds response headers. Its configuration is one header a line:
//
//     x-served-by = wasmount
//     x-frame-options = DENY
//
// Envoy calls a module through exported functions (Proxy-Wasm ABI 0.2.1). The SDK exports them all and turns each
// call into a method of two kinds of object: one RootContext per configured filter, one Context per request.
export * from "@gcoredev/proxy-wasm-sdk-as/assembly/proxy";
import {
  Context,
  FilterHeadersStatusValues,
  log,
  LogLevelValues,
  registerRootContext,
  RootContext,
  stream_context,
} from "@gcoredev/proxy-wasm-sdk-as/assembly";

class ResponseHeadersRoot extends RootContext {
  names: string[] = [];
  values: string[] = [];

  // Called once when Envoy loads the filter. Returning false makes Envoy refuse it, and since wasmount attaches
  // filters fail-closed, a bad configuration answers 403 instead of passing requests unfiltered.
  onConfigure(size: u32): bool {
    if (!super.onConfigure(size)) return false;
    const lines = this.getConfiguration().split("\n");
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i].trim();
      if (line == "") continue;
      const equals = line.indexOf("=");
      const name = line.substring(0, max(equals, 0)).trim().toLowerCase();
      if (!isHeaderName(name)) {
        log(LogLevelValues.error, "response-headers: line " + (i + 1).toString() + " is not 'name = value': " + line);
        return false;
      }
      this.names.push(name);
      this.values.push(line.substring(equals + 1).trim());
    }
    return true;
  }

  createContext(id: u32): Context {
    return new ResponseHeaders(id, this);
  }
}

class ResponseHeaders extends Context {
  // Called when the response's headers have arrived and before they are sent on.
  onResponseHeaders(count: u32, endOfStream: bool): FilterHeadersStatusValues {
    const root = changetype<ResponseHeadersRoot>(this.root_context);
    for (let i = 0; i < root.names.length; i++) {
      // replace, not add: a client must not find two answers to one question.
      stream_context.headers.response.replace(root.names[i], root.values[i]);
    }
    return FilterHeadersStatusValues.Continue;
  }
}

// Envoy sends what it is given: a name that is none would break the response for every client.
function isHeaderName(name: string): bool {
  for (let i = 0; i < name.length; i++) {
    const c = name.charCodeAt(i);
    const letter = c >= 97 && c <= 122;
    const digit = c >= 48 && c <= 57;
    if (!letter && !digit && c != 45 && c != 95) return false;
  }
  return name.length > 0;
}

// The empty root id is what Envoy asks for when no annotation wasmount.dev/root-id.<filter> names another.
registerRootContext((id: u32) => new ResponseHeadersRoot(id), "");
