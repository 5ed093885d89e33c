/** What a CommonJS module finds in its scope, for scripts that are written as one. */
export interface CommonJsScope {
  module: { exports: Record<string, unknown> };
  exports: Record<string, unknown>;
  require: (name: unknown) => unknown;
}

/** `modules`: what `require` gives out, by name. */
export function commonJs(modules: Readonly<Record<string, unknown>>): CommonJsScope {
  const exports = {};
  return {
    module: { exports },
    exports,
    require(name) {
      if (typeof name === "string" && Object.hasOwn(modules, name)) return modules[name];
      throw new Error(`cannot require "${String(name)}"`);
    },
  };
}
