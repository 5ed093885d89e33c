/**
 * What of kafkajs is used: its connections (framing, SASL) and its requests. Its producer is not: it throws at the first partition
 * that failed and keeps to itself which others were written. The package is pinned to the version that these are declared from.
 */

declare module "kafkajs/src/broker/index.js" {
  import type ConnectionPool from "kafkajs/src/network/connectionPool.js";
  import type { Definition, Exchange } from "kafkajs/src/protocol/requests/index.js";

  export default class Broker {
    constructor(options: {
      connectionPool: ConnectionPool;
      logger: import("kafkajs/src/network/connectionPool.js").Logger;
      allowAutoTopicCreation: boolean;
      authenticationTimeout: number;
    });
    readonly connectionPool: ConnectionPool;
    /** The request in the newest version that both sides know; throws where there is none. Once connected. */
    readonly lookupRequest: <Arguments, Answer>(
      apiKey: number,
      definition: Definition<Arguments, Answer>,
    ) => (args: Arguments) => Exchange<Answer>;
    isConnected(): boolean;
    /** Connects, asks for the broker's versions, authenticates. */
    connect(): Promise<void>;
    disconnect(): Promise<void>;
  }
}

declare module "kafkajs/src/network/connectionPool.js" {
  import type { Exchange } from "kafkajs/src/protocol/requests/index.js";

  export interface Logger {
    namespace(): Logger;
    debug(): void;
    info(): void;
    warn(): void;
    error(): void;
  }

  /** What of a socket of Node's is used. */
  export interface SocketLike {
    on(event: "data" | "end" | "error" | "timeout", listener: (value?: unknown) => void): unknown;
    write(bytes: Uint8Array): void;
    end(): void;
    unref(): void;
  }

  export default class ConnectionPool {
    constructor(options: {
      host: string;
      port: number;
      logger: Logger;
      socketFactory: (options: { host: string; port: number; onConnect: () => void }) => SocketLike;
      clientId: string;
      sasl: { mechanism: string; username: string; password: string } | null;
      connectionTimeout: number;
      requestTimeout: number;
      enforceRequestTimeout: boolean;
    });
    readonly pool: {
      requestQueue: { readonly pending: readonly unknown[]; scheduleCheckPendingRequests: () => void };
    }[];
    send<Answer>(exchange: Exchange<Answer>): Promise<Answer>;
    destroy(): Promise<void>;
  }
}

declare module "kafkajs/src/protocol/requests/index.js" {
  export interface Exchange<Answer> {
    request: {
      apiKey: number;
      apiVersion: number;
      apiName: string;
      /** `buf` and `buffer` are the same bytes. */
      encode: () => Promise<{ buf: Uint8Array; buffer: Uint8Array }>;
    };
    response: {
      decode: (bytes: Uint8Array) => Promise<unknown>;
      /** Throws for an answer that holds an error. */
      parse: (decoded: never) => Promise<Answer>;
    };
  }

  /** One kind of request, in several versions. */
  export interface Definition<Arguments, Answer> {
    protocol: (options: { version: number }) => (args: Arguments) => Exchange<Answer>;
  }

  export interface MetadataAnswer {
    brokers: { nodeId: number; host: string; port: number }[];
    topicMetadata: {
      topicErrorCode: number;
      topic: string;
      partitionMetadata: { partitionErrorCode: number; partitionId: number; leader: number }[];
    }[];
  }

  export interface ProduceAnswer {
    topics: { topicName: string; partitions: { partition: number; errorCode: number; baseOffset: string }[] }[];
  }

  export const requests: {
    Metadata: Definition<{ topics: string[]; allowAutoTopicCreation: boolean }, MetadataAnswer>;
    Produce: Definition<{ acks: number; timeout: number; compression: number; topicData: [] }, ProduceAnswer>;
  };
}
