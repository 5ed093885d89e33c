/** What Kafka takes as a topic's name, but for "." and "..", which would also be another path. */
export const TOPIC_NAME = /^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$/;
