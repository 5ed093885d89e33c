// One event of each messageId, and one page a user.
export function transformBatch(events, metadata) {
  const seen = new Set();
  const paged = new Set();
  return events.filter((event) => {
    const { messageId } = metadata(event);
    if (seen.has(messageId)) return false;
    seen.add(messageId);
    if (event.type !== "page") return true;
    if (paged.has(event.userId)) return false;
    paged.add(event.userId);
    event.properties.first = true;
    return true;
  });
}
