/** The package ships no types. It is CommonJS compiled from a module, so Node's default import is the whole of its exports. */
declare module "workerd" {
  const workerd: { default: string };
  export default workerd;
}

/** The benches' script as a module; put there when the worker is built. */
declare module "bench:script" {
  export function transform(event: unknown): unknown;
}
