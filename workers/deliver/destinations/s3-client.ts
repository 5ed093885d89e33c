import { AwsV4Signer } from "aws4fetch";
import type { Clock } from "../../../shared/clock.ts";
import { sha256Hex } from "../../../shared/sha256-hex.ts";

/** What an S3-compatible store is reached by. */
export interface S3Access {
  endpoint: string;
  bucket: string;
  region: string;
  addressing: "path" | "host";
  access_key_id: string;
  secret_access_key: string;
}

export interface S3Deps {
  clock: Clock;
  fetch: typeof fetch;
}

/** Signed requests (Signature Version 4) to one bucket. They throw what `fetch` throws; an answer of any status is an answer. */
export class S3Client {
  readonly #access: S3Access;
  readonly #deps: S3Deps;

  constructor(access: S3Access, deps: S3Deps) {
    this.#access = access;
    this.#deps = deps;
  }

  put(key: string, body: Uint8Array<ArrayBuffer>, contentType: string, signal: AbortSignal): Promise<Response> {
    return this.#send("PUT", this.#url(key), { body, headers: { "content-type": contentType }, signal });
  }

  get(key: string): Promise<Response> {
    return this.#send("GET", this.#url(key), {});
  }

  /** Keys behind `startAfter` that begin with `prefix`, in order, up to a thousand. Throws for an answer that is no list. */
  async list(prefix: string, startAfter: string): Promise<{ keys: string[]; more: boolean }> {
    const url = this.#url("");
    url.search = new URLSearchParams({ "list-type": "2", prefix, "start-after": startAfter }).toString();
    const response = await this.#send("GET", url, {});
    const text = await response.text();
    if (!response.ok) throw new Error(`the archive cannot be listed: ${s3Error(response.status, text)}`);
    const keys = [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => unescapeXml(key as string));
    return { keys, more: /<IsTruncated>true<\/IsTruncated>/.test(text) };
  }

  #url(key: string): URL {
    const { endpoint, bucket, addressing } = this.#access;
    const url = new URL(endpoint);
    const base = url.pathname.replace(/\/$/, "");
    const path = key.split("/").map(encodeURIComponent).join("/");
    if (addressing === "host") url.host = `${bucket}.${url.host}`;
    url.pathname = addressing === "host" ? `${base}/${path}` : `${base}/${bucket}/${path}`;
    return url;
  }

  async #send(
    method: string,
    url: URL,
    {
      body,
      headers,
      signal,
    }: { body?: Uint8Array<ArrayBuffer>; headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Response> {
    const { region, access_key_id: accessKeyId, secret_access_key: secretAccessKey } = this.#access;
    const signer = new AwsV4Signer({
      ...{ method, url: url.toString(), region, accessKeyId, secretAccessKey, service: "s3" },
      headers: { ...headers, "x-amz-content-sha256": await sha256Hex(body ?? new Uint8Array(0)) },
      datetime: new Date(this.#deps.clock.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, ""),
    });
    const signed = await signer.sign();
    return this.#deps.fetch(signed.url.toString(), {
      ...{ method, headers: signed.headers, redirect: "manual" },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
  }
}

/** What an answer says that is no success: its status and S3's own code, such as NoSuchBucket. */
export function s3Error(status: number, body: string): string {
  const code = /<Code>([^<]*)<\/Code>/.exec(body)?.[1];
  return code === undefined ? `status ${status}` : `status ${status}, ${code}`;
}

function unescapeXml(text: string): string {
  const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
  return text.replaceAll(/&(?:#x([0-9a-fA-F]+)|#(\d+)|(\w+));/g, (whole, hex?: string, decimal?: string, name = "") => {
    if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
    return decimal === undefined ? (entities[name] ?? whole) : String.fromCodePoint(Number(decimal));
  });
}
