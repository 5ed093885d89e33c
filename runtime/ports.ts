import { createServer, type Server } from "node:net";
import { StartError } from "./start-error.ts";

export interface PortRequest {
  host: string;
  /** 0: any free one. */
  port: number;
  /** The flag that chose it, for the error. */
  flag: string;
}

/**
 * Ports that can be listened on, all different. They are free again when this resolves: workerd takes them a moment later.
 * @throws StartError that names the port if one is busy
 */
export async function claimPorts(requests: readonly PortRequest[]): Promise<number[]> {
  const servers = await Promise.all(requests.map(listen));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function listen({ host, port, flag }: PortRequest): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? "is in use" : `cannot be listened on (${error.code})`;
      reject(new StartError(`port ${port} on ${host} ${why}; choose another with ${flag}`));
    });
    server.listen(port, host, () => resolve(server));
  });
}
