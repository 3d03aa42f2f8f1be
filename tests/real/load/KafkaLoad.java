import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.LongSerializer;

/** Sends a record for each number with {@code acks=all}, to one partition after the other. */
final class KafkaLoad extends Load {
    private static final String TOPIC = "load";
    private static final int PARTITIONS = 6;
    private final Properties settings = new Properties();
    private final Admin admin;
    private final KafkaProducer<Long, Long> producer;

    private KafkaLoad(String[] addresses, String user, String password) throws Exception {
        settings.put("bootstrap.servers", String.join(":9092,", addresses) + ":9092");
        settings.put("security.protocol", TLS ? "SASL_SSL" : "SASL_PLAINTEXT");
        settings.put("ssl.endpoint.identification.algorithm", "");
        settings.put("sasl.mechanism", "PLAIN");
        settings.put(
                "sasl.jaas.config",
                String.format(
                        "org.apache.kafka.common.security.plain.PlainLoginModule required username=\"%s\" password=\"%s\";",
                        user, password));
        settings.put("acks", "all");
        settings.put("linger.ms", "0");
        settings.put("request.timeout.ms", "5000");
        settings.put("delivery.timeout.ms", "10000");
        settings.put("default.api.timeout.ms", "30000");
        admin = Admin.create(settings);
        NewTopic topic = new NewTopic(TOPIC, PARTITIONS, (short) 3).configs(Map.of("min.insync.replicas", "2"));
        for (int tries = 0; !admin.listTopics().names().get().contains(TOPIC); tries++) {
            if (tries == 60) {
                throw new IllegalStateException("the topic cannot be created");
            }
            try {
                admin.createTopics(List.of(topic)).all().get();
            } catch (Exception early) {
                Thread.sleep(1000);
            }
        }
        producer = new KafkaProducer<>(settings, new LongSerializer(), new LongSerializer());
    }

    @Override
    void write(long number) throws Exception {
        producer.send(new ProducerRecord<>(TOPIC, (int) (number % PARTITIONS), number, number)).get();
    }

    @Override
    Set<Long> readBack() throws Exception {
        List<TopicPartition> partitions =
                IntStream.range(0, PARTITIONS).mapToObj(at -> new TopicPartition(TOPIC, at)).collect(Collectors.toList());
        Set<Long> found = new HashSet<>();
        try (KafkaConsumer<Long, Long> consumer =
                new KafkaConsumer<>(settings, new LongDeserializer(), new LongDeserializer())) {
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                consumer.poll(Duration.ofMillis(500)).forEach(record -> found.add(record.value()));
            }
        }
        return found;
    }

    /** The epoch of the controllers' leader. */
    @Override
    long term() throws Exception {
        return admin.describeMetadataQuorum().quorumInfo().get().leaderEpoch();
    }

    public static void main(String[] arguments) throws Exception {
        new KafkaLoad(arguments[0].split(","), arguments[1], arguments[2]).run();
    }
}
