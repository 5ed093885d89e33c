import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createHash, randomBytes, randomInt } from "node:crypto";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { processTree } from "./process-tree.ts";
import { until } from "./wait.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
const POM = join(HERE, "kafka", "pom.xml");
const BRIDGE = join(HERE, "kafka", "Bridge.java");
const CACHE = join(dirname(dirname(HERE)), ".cache", "kafka");
const COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
/** Kafka 4 runs on nothing older. */
const JAVA_VERSION = 17;
const FETCH_TIMEOUT_MS = 300_000;
const START_TIMEOUT_MS = 60_000;
/** The tools live for seconds: no time for the optimising compiler, and a heap that leaves room for the product under test. */
const TOOL_FLAGS = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
const BROKER_FLAGS = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"];

/**
 * Runs its arguments until its own standard input closes, which the end of the test process does whatever ends it. The program
 * ending first ends it too.
 */
const BOUND =
  'exec 3<&0; "$@" </dev/null & program=$!; (cat >/dev/null; kill -9 $program) <&3 & wait $program; kill $! 2>/dev/null';

export type KafkaAvailability = { available: true } | { available: false; reason: string };

export interface KafkaRecord {
  partition: number;
  offset: number;
  timestampMs: number;
  headers: Record<string, string>;
  key: string | null;
  value: string;
}

export interface KafkaOptions {
  /** Also listens where a client has to log in, in the clear and over TLS. Needs a JDK's keytool. */
  secure?: boolean;
  /**
   * How long the bridge's producer waits for a topic's metadata. Where that ends while the broker is away, an earlier record of a
   * request fails and a later one is written: a bridge keeps the order only as long as it waits.
   */
  bridgeWaitMs?: number;
}

/** Long enough for a fresh topic to appear, short enough for a test of an unknown topic. */
const BRIDGE_WAIT_MS = 3_000;

/** Where a client has to log in, by any mechanism. */
export interface SecureListeners {
  /** SASL in the clear. */
  sasl: string;
  /** SASL over TLS, for the name localhost. */
  tls: string;
  /** File with the certificate of `tls`, which nobody else trusts. */
  certificate: string;
  username: string;
  password: string;
}

/** A running broker with an HTTP bridge in front. */
export interface Kafka {
  bootstrap: string;
  secure: SecureListeners | null;
  /** Base URL of the bridge, which speaks the Strimzi bridge's produce call. */
  bridge: string;
  createTopic(topic: string, partitions: number): void;
  /** Reads the topic from its beginning with Kafka's own console consumer, until `max` records or `idleMs` without one. */
  consumeAll(topic: string, options: { max: number; idleMs?: number }): KafkaRecord[];
  /** Ends the broker, by SIGKILL or in order, and starts it again with what it has on disk. */
  restartBroker(how: "killed" | "stopped"): Promise<void>;
  stop(): Promise<void>;
}

let availability: KafkaAvailability | undefined;

/** Whether a real Kafka can run here. The first call fetches it (about 55 MB through Maven); later ones need no network. */
export function kafkaAvailable(): KafkaAvailability {
  availability ??= check();
  return availability;
}

function check(): KafkaAvailability {
  const no = (reason: string): KafkaAvailability => ({ available: false, reason: `no real Kafka: ${reason}` });
  const java = spawnSync("java", ["--list-modules"], { encoding: "utf8" });
  if (java.error !== undefined) return no("there is no java on the PATH");
  const version = Number(/^java\.base@(\d+)/m.exec(java.stdout)?.[1] ?? 0);
  if (version < JAVA_VERSION) return no(`java is version ${version}, Kafka 4 needs ${JAVA_VERSION}`);
  if (!java.stdout.includes("jdk.compiler")) return no("java is a runtime without a compiler, the bridge needs a JDK");
  if (existsSync(libraries())) return { available: true };
  const failure = fetchKafka(libraries());
  return failure === null ? { available: true } : no(failure);
}

/** Named after the pom's content: another version is another folder. */
function libraries(): string {
  return join(CACHE, createHash("sha256").update(readFileSync(POM)).digest("hex").slice(0, 12));
}

/** Null, or why it failed. The folder appears whole or not at all. */
function fetchKafka(folder: string): string | null {
  mkdirSync(CACHE, { recursive: true });
  const partial = mkdtempSync(join(CACHE, "partial-"));
  const args = ["-q", "-B", "-f", POM, COPY, "-DincludeScope=runtime", `-DoutputDirectory=${partial}`];
  const maven = spawnSync("mvn", args, { encoding: "utf8", timeout: FETCH_TIMEOUT_MS });
  if (maven.status === 0) {
    renameSync(partial, folder);
    return null;
  }
  rmSync(partial, { recursive: true });
  if (maven.error !== undefined && "code" in maven.error && maven.error.code === "ENOENT")
    return "there is no mvn on the PATH";
  const line = /\[ERROR\] (.*)/.exec(`${maven.stdout}${maven.stderr}`)?.[1];
  return `Maven cannot fetch it: ${line ?? maven.error?.message ?? "no message"}`;
}

const classpath = () => join(libraries(), "*");

/** Runs one of Kafka's command line tools to its end. Throws with its output when it fails. */
function tool(
  mainClass: string,
  args: string[],
  accept: (status: number | null) => boolean = (status) => status === 0,
) {
  const result = spawnSync("java", [...TOOL_FLAGS, "-cp", classpath(), mainClass, ...args], {
    encoding: "utf8",
    maxBuffer: 1024 ** 3,
  });
  if (!accept(result.status)) throw new Error(`${mainClass} ${args.join(" ")}: ${result.stdout}${result.stderr}`);
  return result.stdout;
}

/** Below those that systems give to outgoing connections: a port must still be free when the broker starts, and starts again. */
const [FIRST_PORT, LAST_PORT] = [20_000, 30_000];

async function freePorts(count: number): Promise<number[]> {
  const found = new Set<number>();
  while (found.size < count) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().on("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}

interface Ports {
  plain: number;
  controller: number;
  sasl: number;
  tls: number;
}

const USER = { username: "headwater", password: "correct-horse-battery" };
const SCRAM = ["SCRAM-SHA-256", "SCRAM-SHA-512"];
const KEYSTORE_PASSWORD = "changeit";

/** What the broker needs beside its usual settings to have clients log in. */
function secureSettings(folder: string): Record<string, string> {
  const plain = `org.apache.kafka.common.security.plain.PlainLoginModule required user_${USER.username}="${USER.password}";`;
  const scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
  return Object.fromEntries(
    ["sasl", "tls"].flatMap((listener) => [
      [`listener.name.${listener}.plain.sasl.jaas.config`, plain],
      ...SCRAM.map((name) => [`listener.name.${listener}.${name.toLowerCase()}.sasl.jaas.config`, scram]),
      [`listener.name.${listener}.sasl.enabled.mechanisms`, ["PLAIN", ...SCRAM].join(",")],
      [`listener.name.${listener}.ssl.keystore.type`, "PKCS12"],
      [`listener.name.${listener}.ssl.keystore.location`, join(folder, "keystore.p12")],
      [`listener.name.${listener}.ssl.keystore.password`, KEYSTORE_PASSWORD],
    ]),
  );
}

/** A certificate that signs itself; the path of its public half. */
function makeCertificate(folder: string): string {
  const store = ["-alias", "broker", "-keystore", join(folder, "keystore.p12"), "-storepass", KEYSTORE_PASSWORD];
  const path = join(folder, "certificate.pem");
  const keytool = (args: string[]) => {
    const { status, stdout, stderr } = spawnSync("keytool", [...args, ...store], { encoding: "utf8" });
    if (status !== 0) throw new Error(`keytool ${args[0]}: ${stdout}${stderr}`);
  };
  const names = ["-dname", "CN=localhost", "-ext", "SAN=dns:localhost,ip:127.0.0.1", "-ext", "bc:c"];
  keytool(["-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-storetype", "PKCS12", ...names]);
  keytool(["-exportcert", "-rfc", "-file", path]);
  return path;
}

function brokerSettings(folder: string, ports: Ports, secure: boolean): string {
  const outside = { PLAINTEXT: `127.0.0.1:${ports.plain}`, ...(secure ? saslAddresses(ports) : {}) };
  const urls = Object.entries(outside).map(([name, address]) => `${name}://${address}`);
  return Object.entries({
    "process.roles": "broker,controller",
    "node.id": 1,
    listeners: [...urls, `CONTROLLER://127.0.0.1:${ports.controller}`].join(","),
    "advertised.listeners": urls.join(","),
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SASL_SSL",
    ...(secure ? secureSettings(folder) : {}),
    "controller.listener.names": "CONTROLLER",
    "controller.quorum.voters": `1@127.0.0.1:${ports.controller}`,
    "log.dirs": join(folder, "log"),
    // A misspelt topic is an error that a test must see.
    "auto.create.topics.enable": false,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "group.initial.rebalance.delay.ms": 0,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

function saslAddresses(ports: Ports): { SASL: string; TLS: string } {
  return { SASL: `127.0.0.1:${ports.sasl}`, TLS: `localhost:${ports.tls}` };
}

/** Starts a broker of one node and the bridge, both on free ports of 127.0.0.1. Throws where `kafkaAvailable()` says no. */
export async function startKafka({ secure = false, bridgeWaitMs = BRIDGE_WAIT_MS }: KafkaOptions = {}): Promise<Kafka> {
  const is = kafkaAvailable();
  if (!is.available) throw new Error(is.reason);
  const folder = mkdtempSync(join(tmpdir(), "headwater-kafka-"));
  const [plain, controller, sasl, tls] = (await freePorts(4)) as [number, number, number, number];
  const ports = { plain, controller, sasl, tls };
  const certificate = secure ? makeCertificate(folder) : "";
  const settings = join(folder, "server.properties");
  writeFileSync(settings, brokerSettings(folder, ports, secure));
  const users = SCRAM.flatMap((name) => ["-S", `${name}=[name=${USER.username},password=${USER.password}]`]);
  tool("kafka.tools.StorageTool", [
    ...["format", "-t", randomBytes(16).toString("base64url"), "-c", settings],
    ...(secure ? users : []),
  ]);
  const children: ChildProcess[] = [];
  const spawnBound = (flags: string[], main: string[]) => {
    const child = spawn("sh", ["-c", BOUND, "java", "java", ...flags, "-cp", classpath(), ...main], { stdio: "pipe" });
    children.push(child);
    return child;
  };
  const stop = async () => {
    const running = children.filter((child) => child.exitCode === null && child.signalCode === null);
    const exits = running.map((child) => once(child, "exit"));
    for (const child of running) child.stdin?.end();
    await Promise.all(exits);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const startBroker = async () => {
      const child = spawnBound(BROKER_FLAGS, ["kafka.Kafka", settings]);
      await listening(child, plain);
      return child;
    };
    let broker = await startBroker();
    const restartBroker = async (how: "killed" | "stopped") => {
      const exit = once(broker, "exit");
      if (how === "killed") broker.stdin?.end();
      else process.kill(pidOfJava(broker), "SIGTERM");
      await exit;
      broker = await startBroker();
    };
    const bootstrap = `127.0.0.1:${plain}`;
    const front = spawnBound(["-Xmx256m", "-XX:+UseSerialGC"], [BRIDGE, bootstrap, `${bridgeWaitMs}`]);
    const addresses = saslAddresses(ports);
    return {
      ...{ bootstrap, stop, restartBroker, bridge: `http://127.0.0.1:${await firstLine(front)}` },
      secure: secure ? { sasl: addresses.SASL, tls: addresses.TLS, certificate, ...USER } : null,
      ...tools(bootstrap),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Of the broker below the shell that is bound to this process. */
function pidOfJava(shell: ChildProcess): number {
  const java = processTree(shell.pid!).find((pid) => readlinkSync(`/proc/${pid}/exe`).endsWith("/java"));
  if (java === undefined) throw new Error("the Kafka broker is not running");
  return java;
}

async function listening(broker: ChildProcess, port: number): Promise<void> {
  let log = "";
  broker.stderr?.on("data", (chunk) => {
    log = `${log}${chunk}`.slice(-4_000);
  });
  const describe = () => `no Kafka broker on port ${port}: ${log}`;
  await until(
    () => {
      if (broker.exitCode !== null) throw new Error(`the Kafka broker ended: ${log}`);
      return canConnect(port);
    },
    { timeoutMs: START_TIMEOUT_MS, describe },
  );
}

async function canConnect(port: number): Promise<boolean> {
  const { connect } = await import("node:net");
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve(true);
    }).on("error", () => resolve(false));
  });
}

async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! });
  const line = await Promise.race([
    once(lines, "line").then(([text]) => String(text)),
    once(child, "exit").then(([code]) => {
      throw new Error(`the Kafka bridge ended with ${code} before it listened`);
    }),
  ]);
  return line;
}

function tools(bootstrap: string): Pick<Kafka, "createTopic" | "consumeAll"> {
  const server = ["--bootstrap-server", bootstrap];
  return {
    createTopic: (topic, partitions) => {
      tool("org.apache.kafka.tools.TopicCommand", [
        ...server,
        ...["--create", "--topic", topic, "--partitions", `${partitions}`, "--replication-factor", "1"],
      ]);
    },
    consumeAll: (topic, { max, idleMs = 5_000 }) => {
      const printed = ["timestamp", "partition", "offset", "headers", "key"];
      const output = tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        [
          ...server,
          ...["--topic", topic, "--from-beginning", "--max-messages", `${max}`, "--timeout-ms", `${idleMs}`],
          ...printed.flatMap((what) => ["--formatter-property", `print.${what}=true`]),
        ],
        // Idle time over before `max` records came: status 1, and what came is on stdout.
        () => true,
      );
      return output.split("\n").filter(Boolean).map(parseRecord);
    },
  };
}

/** One line of the console consumer; JSON text holds neither tab nor newline. */
function parseRecord(line: string): KafkaRecord {
  const [time = "", partition = "", offset = "", headers = "", key = "", ...value] = line.split("\t");
  const after = (text: string) => Number(text.slice(text.indexOf(":") + 1));
  return {
    partition: after(partition),
    offset: after(offset),
    timestampMs: after(time),
    headers: parseHeaders(headers),
    key: key === "null" ? null : key,
    value: value.join("\t"),
  };
}

function parseHeaders(text: string): Record<string, string> {
  if (text === "NO_HEADERS") return {};
  return Object.fromEntries(
    text.split(",").map((pair) => [pair.slice(0, pair.indexOf(":")), pair.slice(pair.indexOf(":") + 1)]),
  );
}
