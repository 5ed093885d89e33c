/** Asked for at a time: on their way the runtime has these bytes a second time. */
const STEP_BYTES = 256 * 1024;
/** Room for a body of unknown length, to begin with. */
const FIRST_BYTES = 64 * 1024;

/**
 * What comes out of the stream, in one buffer from the beginning: reading it whole, or piece by piece into a list, takes twice to three
 * times its size. Null where it is more than `maxBytes`; what comes then is read and thrown away up to `drainBytes` in all.
 *
 * `expectedBytes`: what the client says, which may be wrong; null where it says nothing.
 */
export async function readStream(
  stream: ReadableStream<Uint8Array>,
  expectedBytes: number | null,
  maxBytes: number,
  drainBytes: number,
): Promise<Uint8Array<ArrayBuffer> | null> {
  const reader = stream.getReader({ mode: "byob" });
  // One more than it may be, so that there is room to find out that it is more.
  const mostBytes = maxBytes + 1;
  let buffer = new ArrayBuffer(Math.min((expectedBytes ?? FIRST_BYTES) + 1, mostBytes));
  let length = 0;
  while (length < mostBytes) {
    if (length === buffer.byteLength) buffer = buffer.transfer(Math.min(length * 2, mostBytes));
    const room = Math.min(STEP_BYTES, buffer.byteLength - length);
    const { value, done } = await reader.read(new Uint8Array(buffer, length, room));
    // The buffer comes back with what was read; it is another object each time.
    if (value !== undefined) buffer = value.buffer;
    if (done || value === undefined) return new Uint8Array(buffer, 0, length);
    length += value.length;
  }
  await drain(reader, drainBytes - length);
  return null;
}

async function drain(reader: ReadableStreamBYOBReader, mostBytes: number): Promise<void> {
  let scratch = new Uint8Array(STEP_BYTES);
  for (let drained = 0; drained <= mostBytes; ) {
    const { value, done } = await reader.read(scratch);
    if (done || value === undefined) return;
    drained += value.length;
    scratch = new Uint8Array(value.buffer);
  }
  await reader.cancel();
}
