import static java.nio.charset.StandardCharsets.UTF_8;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.StringSerializer;

/** Send a funding round in structured mode and a job opening in binary mode: Produce BROKERS [PREFIX]. */
public class Produce {
    public static void main(String[] arguments) throws Exception {
        String prefix = arguments.length > 1 ? arguments[1] : "resegment";
        String now = Instant.now().truncatedTo(ChronoUnit.SECONDS).toString();
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "acks", "all");
        try (Producer<String, String> producer =
                new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            // get() waits for the broker and throws if it refused the record
            producer.send(structured(prefix + ".triggers.funding", now)).get();
            producer.send(binary(prefix + ".triggers.hiring", now)).get();
        }
    }

    /** The whole event is the value; as the content type says. */
    private static ProducerRecord<String, String> structured(String topic, String now) {
        String event = """
            {"specversion": "1.0", "id": "round-815", "source": "/java/rounds", "type": "gtm.funding.v1",
             "subject": "initech.com", "time": "%s", "datacontenttype": "application/json",
             "data": {"round": "seed", "amount_usd": 3000000}}
            """.formatted(now);
        return record(topic, "initech.com", event, Map.of("content-type", "application/cloudevents+json"));
    }

    /** The value is the data alone; each attribute is a header ce_NAME. */
    private static ProducerRecord<String, String> binary(String topic, String now) {
        String data = """
            {"change": "opened", "title": "Sales Operations Lead", "function": "sales_ops"}
            """;
        return record(topic, "hooli.com", data, Map.of(
            "content-type", "application/json",
            "ce_specversion", "1.0",
            "ce_id", "job-42",
            "ce_source", "/java/jobs",
            "ce_type", "gtm.hiring.v1",
            "ce_subject", "hooli.com",
            "ce_time", now));
    }

    private static ProducerRecord<String, String> record(
            String topic, String key, String value, Map<String, String> texts) {
        List<Header> headers = new ArrayList<>();
        texts.forEach((name, text) -> headers.add(new RecordHeader(name, text.getBytes(UTF_8))));
        return new ProducerRecord<>(topic, null, key, value, headers);
    }
}
