import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * HTTP in front of a real Kafka broker, for tests: Apache Kafka's own producer behind the produce call of the Strimzi bridge
 * (`POST /topics/{topic}`, formats json, binary and text, one result a record, HTTP 200 also when records failed).
 * It is not the Strimzi bridge, which is not to be had from Maven Central: written from that bridge's documented wire format.
 *
 * Arguments: the broker's address, and how long the producer waits for a topic's metadata, in milliseconds. Prints its own port as the first line.
 */
public final class Bridge {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final Set<String> RECORD_FIELDS = Set.of("key", "value", "partition", "timestamp", "headers");
  private static final int THREADS = 16;

  private final KafkaProducer<byte[], byte[]> producer;

  private Bridge(String bootstrap, String maxBlockMs) {
    producer = new KafkaProducer<>(
        Map.of("bootstrap.servers", bootstrap, "acks", "all", "linger.ms", "0", "max.block.ms", maxBlockMs),
        new ByteArraySerializer(), new ByteArraySerializer());
  }

  public static void main(String[] args) throws IOException {
    Bridge bridge = new Bridge(args[0], args[1]);
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
    server.setExecutor(Executors.newFixedThreadPool(THREADS));
    server.createContext("/healthy", exchange -> answer(exchange, 200, JSON.createObjectNode()));
    server.createContext("/topics/", bridge::produce);
    server.start();
    System.out.println(server.getAddress().getPort());
  }

  private void produce(HttpExchange exchange) throws IOException {
    try {
      String topic = exchange.getRequestURI().getPath().substring("/topics/".length());
      String type = String.valueOf(exchange.getRequestHeaders().getFirst("Content-Type"));
      if (!exchange.getRequestMethod().equals("POST") || topic.contains("/")) throw new Refused(404, "not found");
      List<ProducerRecord<byte[], byte[]>> records = records(topic, type, exchange.getRequestBody().readAllBytes());
      answer(exchange, 200, JSON.createObjectNode().set("offsets", send(records)));
    } catch (Refused refused) {
      answer(exchange, refused.code, result(refused.code, refused.getMessage()));
    } catch (RuntimeException bug) {
      answer(exchange, 500, result(500, bug.toString()));
    }
  }

  private static List<ProducerRecord<byte[], byte[]>> records(String topic, String type, byte[] body) {
    String format = type.replaceAll("^application/vnd\\.kafka\\.(json|binary|text)\\.v2\\+json.*$", "$1");
    if (!Set.of("json", "binary", "text").contains(format)) throw new Refused(415, "unknown content type " + type);
    List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
    try {
      JsonNode list = JSON.readTree(body).path("records");
      if (!list.isArray()) throw new Refused(422, "records: an array is required");
      for (JsonNode entry : list) records.add(record(topic, format, entry));
    } catch (IOException malformed) {
      throw new Refused(422, "the body is not JSON: " + malformed.getMessage());
    }
    return records;
  }

  private static ProducerRecord<byte[], byte[]> record(String topic, String format, JsonNode entry) throws IOException {
    for (var fields = entry.fieldNames(); fields.hasNext();) {
      String field = fields.next();
      if (!RECORD_FIELDS.contains(field)) throw new Refused(422, "unknown record field " + field);
    }
    if (!entry.has("value")) throw new Refused(422, "a record without a value");
    Integer partition = entry.has("partition") ? entry.get("partition").intValue() : null;
    Long timestamp = entry.has("timestamp") ? entry.get("timestamp").longValue() : null;
    var record = new ProducerRecord<>(topic, partition, timestamp, bytes(format, entry.get("key")), bytes(format, entry.get("value")));
    for (JsonNode header : entry.path("headers")) record.headers().add(header.get("key").asText(), header.get("value").binaryValue());
    return record;
  }

  private static byte[] bytes(String format, JsonNode node) throws IOException {
    if (node == null || node.isNull()) return null;
    if (format.equals("json")) return JSON.writeValueAsBytes(node);
    if (!node.isTextual()) throw new Refused(422, "format " + format + " takes strings only");
    return format.equals("text") ? node.asText().getBytes(StandardCharsets.UTF_8) : Base64.getDecoder().decode(node.asText());
  }

  /** Sends all in order before it waits for any, as the order of a partition wants it. */
  private ArrayNode send(List<ProducerRecord<byte[], byte[]>> records) {
    List<Future<RecordMetadata>> sent = new ArrayList<>();
    for (var record : records) sent.add(producer.send(record));
    ArrayNode offsets = JSON.createArrayNode();
    for (var future : sent) offsets.add(result(future));
    return offsets;
  }

  private static ObjectNode result(Future<RecordMetadata> future) {
    try {
      RecordMetadata written = future.get();
      return JSON.createObjectNode().put("partition", written.partition()).put("offset", written.offset());
    } catch (ExecutionException failed) {
      String message = String.valueOf(failed.getCause().getMessage());
      boolean unknown = failed.getCause() instanceof UnknownTopicOrPartitionException || message.contains("not present in metadata");
      return result(unknown ? 404 : 500, message);
    } catch (InterruptedException stopped) {
      return result(500, "stopped");
    }
  }

  private static ObjectNode result(int code, String message) {
    return JSON.createObjectNode().put("error_code", code).put("message", message);
  }

  private static void answer(HttpExchange exchange, int status, JsonNode body) throws IOException {
    byte[] bytes = JSON.writeValueAsBytes(body);
    exchange.getRequestBody().readAllBytes();
    exchange.getResponseHeaders().set("Content-Type", "application/vnd.kafka.v2+json");
    exchange.sendResponseHeaders(status, bytes.length);
    exchange.getResponseBody().write(bytes);
    exchange.close();
  }

  /** The whole request is refused with this status. */
  private static final class Refused extends RuntimeException {
    final int code;

    Refused(int code, String message) {
      super(message);
      this.code = code;
    }
  }
}
