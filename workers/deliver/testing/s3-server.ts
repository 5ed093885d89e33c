import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const S3_KEY = { access_key_id: "AKIDTEST", secret_access_key: "s3-secret/+key" };

export interface S3Server {
  url: string;
  /** By "bucket/key". */
  objects: Map<string, Buffer>;
  /** Method and path of every request, in order. */
  requests: string[];
  /** What befalls the next requests: an answer in S3's form, or "lost": it is done and nobody hears of it. */
  trouble: ({ status: number; code: string; retryAfter?: number } | "lost")[];
  close(): Promise<void>;
}

/**
 * A small S3 server from its public documentation: PUT, GET and ListObjectsV2 of path-style addresses, in memory. It checks what a real
 * one checks: Signature Version 4 over the request as it arrived, by a computation of its own, and the body's hash.
 */
export async function anS3Server(bucket: string, pageCount = 1_000, region = "us-east-1"): Promise<S3Server> {
  const objects = new Map<string, Buffer>();
  const requests: string[] = [];
  const trouble: S3Server["trouble"] = [];
  const handle = (request: IncomingMessage, body: Buffer, response: ServerResponse) => {
    const url = new URL(request.url ?? "", "http://s3");
    requests.push(`${request.method} ${request.url}`);
    const refused = refusal(request, url, body, region);
    const next = trouble.shift();
    if (refused !== null) return fail(response, 403, refused);
    if (next !== undefined && next !== "lost") return fail(response, next.status, next.code, next.retryAfter);
    const path = decodeURIComponent(url.pathname.slice(1));
    if (path.split("/")[0] !== bucket) return fail(response, 404, "NoSuchBucket");
    const stored = objects.get(path);
    if (request.method === "PUT") objects.set(path, body);
    if (next === "lost") return void request.socket.destroy();
    if (request.method === "PUT") return void response.writeHead(200).end();
    if (url.searchParams.get("list-type") === "2") return void response.end(list(objects, bucket, url, pageCount));
    if (stored === undefined) return fail(response, 404, "NoSuchKey");
    response.end(stored);
  };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => handle(request, Buffer.concat(chunks), response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    ...{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, objects, requests, trouble },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The code of the error with which S3 refuses a signature; null where it is right. */
function refusal({ method, headers }: IncomingMessage, url: URL, body: Buffer, region: string): string | null {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
      headers.authorization ?? "",
    );
  if (match === null) return "AccessDenied";
  const [, id, day, of, signed, signature] = match as unknown as [string, string, string, string, string, string];
  if (id !== S3_KEY.access_key_id) return "InvalidAccessKeyId";
  if (of !== region) return "AuthorizationHeaderMalformed";
  const names = signed.split(";");
  if (!["host", "x-amz-content-sha256", "x-amz-date"].every((name) => names.includes(name))) return "AccessDenied";
  const hash = createHash("sha256").update(body).digest("hex");
  if (headers["x-amz-content-sha256"] !== hash) return "XAmzContentSHA256Mismatch";
  const query = [...url.searchParams]
    .map(([name, value]) => `${strict(name)}=${strict(value)}`)
    .sort()
    .join("&");
  const path = url.pathname
    .split("/")
    .map((part) => strict(decodeURIComponent(part)))
    .join("/");
  const lines = names.map((name) => `${name}:${String(headers[name]).trim()}\n`).join("");
  const canonical = [method, path, query, lines, signed, hash].join("\n");
  const scope = `${day}/${of}/s3/aws4_request`;
  const digest = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", headers["x-amz-date"], scope, digest].join("\n");
  const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();
  const key = [day, of, "s3", "aws4_request"].reduce<string | Buffer>(hmac, `AWS4${S3_KEY.secret_access_key}`);
  return hmac(key, text).toString("hex") === signature ? null : "SignatureDoesNotMatch";
}

function strict(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function list(objects: ReadonlyMap<string, Buffer>, bucket: string, url: URL, pageCount: number): string {
  const [prefix, after] = [url.searchParams.get("prefix") ?? "", url.searchParams.get("start-after") ?? ""];
  const all = [...objects.keys()].map((path) => path.slice(bucket.length + 1)).sort();
  const found = all.filter((key) => key.startsWith(prefix) && key > after);
  const keys = found
    .slice(0, pageCount)
    .map((key) => `<Contents><Key>${key.replaceAll("&", "&amp;")}</Key></Contents>`);
  return `<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><IsTruncated>${found.length > pageCount}</IsTruncated>${keys.join("")}</ListBucketResult>`;
}

function fail(response: ServerResponse, status: number, code: string, retryAfter?: number): void {
  const headers = retryAfter === undefined ? {} : { "retry-after": String(retryAfter) };
  response.writeHead(status, headers).end(`<Error><Code>${code}</Code><Message>no</Message></Error>`);
}
