/** What a code of Kafka's protocol asks of the sender. */
export type CodeKind =
  /** The cluster has changed: look where the partitions are, and try again. */
  | "moved"
  /** Try again. */
  | "passing"
  /** As `passing`, but the cluster asks for patience. */
  | "throttled"
  /** The batch is too large; a smaller one may not be. */
  | "too-large"
  /** The record itself will never be taken. */
  | "record"
  /** Whoever runs the destination has to act; then everything goes out in its order. */
  | "credentials"
  | "access"
  | "topic"
  | "settings";

/** Codes that a producer meets: https://kafka.apache.org/protocol.html#protocol_error_codes */
const CODES: Record<number, [name: string, kind: CodeKind]> = {
  2: ["CORRUPT_MESSAGE", "passing"],
  3: ["UNKNOWN_TOPIC_OR_PARTITION", "topic"],
  5: ["LEADER_NOT_AVAILABLE", "moved"],
  6: ["NOT_LEADER_OR_FOLLOWER", "moved"],
  7: ["REQUEST_TIMED_OUT", "passing"],
  8: ["BROKER_NOT_AVAILABLE", "moved"],
  9: ["REPLICA_NOT_AVAILABLE", "moved"],
  10: ["MESSAGE_TOO_LARGE", "too-large"],
  13: ["NETWORK_EXCEPTION", "moved"],
  17: ["INVALID_TOPIC_EXCEPTION", "topic"],
  18: ["RECORD_LIST_TOO_LARGE", "too-large"],
  19: ["NOT_ENOUGH_REPLICAS", "passing"],
  20: ["NOT_ENOUGH_REPLICAS_AFTER_APPEND", "passing"],
  21: ["INVALID_REQUIRED_ACKS", "settings"],
  29: ["TOPIC_AUTHORIZATION_FAILED", "access"],
  31: ["CLUSTER_AUTHORIZATION_FAILED", "access"],
  32: ["INVALID_TIMESTAMP", "record"],
  33: ["UNSUPPORTED_SASL_MECHANISM", "credentials"],
  34: ["ILLEGAL_SASL_STATE", "credentials"],
  35: ["UNSUPPORTED_VERSION", "settings"],
  43: ["UNSUPPORTED_FOR_MESSAGE_FORMAT", "settings"],
  44: ["POLICY_VIOLATION", "settings"],
  54: ["SECURITY_DISABLED", "settings"],
  56: ["KAFKA_STORAGE_ERROR", "moved"],
  58: ["SASL_AUTHENTICATION_FAILED", "credentials"],
  72: ["LISTENER_NOT_FOUND", "moved"],
  74: ["FENCED_LEADER_EPOCH", "moved"],
  75: ["UNKNOWN_LEADER_EPOCH", "moved"],
  76: ["UNSUPPORTED_COMPRESSION_TYPE", "settings"],
  87: ["INVALID_RECORD", "record"],
  89: ["THROTTLING_QUOTA_EXCEEDED", "throttled"],
};

/** A code that is not known here says nothing about the records: they are kept, and tried again. */
export function codeKind(code: number): CodeKind {
  return CODES[code]?.[1] ?? "passing";
}

export function codeName(code: number): string {
  const name = CODES[code]?.[0];
  return name === undefined ? `code ${code}` : `${name}, code ${code}`;
}
