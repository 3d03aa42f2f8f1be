import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.CqlSessionBuilder;
import com.datastax.oss.driver.api.core.DefaultConsistencyLevel;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.cql.PreparedStatement;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import javax.net.ssl.SSLContext;

/** Inserts a row for each number at QUORUM. */
final class CassandraLoad extends Load {
    private static final String THREE = " WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3}";
    private final CqlSession session;
    private final PreparedStatement insert;

    private CassandraLoad(List<InetSocketAddress> nodes, String user, String password) throws Exception {
        // The user that a new cluster has makes the one that KubeDB would.
        try (CqlSession first = connect(nodes, "cassandra", "cassandra")) {
            first.execute("ALTER KEYSPACE system_auth" + THREE);
            first.execute(
                    String.format(
                            "CREATE ROLE IF NOT EXISTS %s WITH PASSWORD = '%s' AND LOGIN = true AND SUPERUSER = true",
                            user, password));
        }
        session = connect(nodes, user, password);
        session.execute("CREATE KEYSPACE IF NOT EXISTS load" + THREE);
        session.execute("CREATE TABLE IF NOT EXISTS load.numbers (n bigint PRIMARY KEY)");
        insert = session.prepare("INSERT INTO load.numbers (n) VALUES (?)");
    }

    private static CqlSession connect(List<InetSocketAddress> nodes, String user, String password) throws Exception {
        DriverConfigLoader config =
                DriverConfigLoader.programmaticBuilder()
                        .withDuration(DefaultDriverOption.REQUEST_TIMEOUT, Duration.ofSeconds(10))
                        .withDuration(DefaultDriverOption.RECONNECTION_BASE_DELAY, Duration.ofMillis(500))
                        .withDuration(DefaultDriverOption.RECONNECTION_MAX_DELAY, Duration.ofSeconds(5))
                        .withString(DefaultDriverOption.REQUEST_CONSISTENCY, DefaultConsistencyLevel.QUORUM.name())
                        .withBoolean(DefaultDriverOption.REQUEST_DEFAULT_IDEMPOTENCE, true)
                        .build();
        for (int tries = 1; ; tries++) {
            try {
                CqlSessionBuilder session =
                        CqlSession.builder()
                                .addContactPoints(nodes)
                                .withLocalDatacenter("dc1")
                                .withAuthCredentials(user, password)
                                .withConfigLoader(config);
                return (TLS ? session.withSslContext(SSLContext.getDefault()) : session).build();
            } catch (Exception early) {
                // A new cluster has no user for its first seconds.
                if (tries == 60) {
                    throw early;
                }
                Thread.sleep(1000);
            }
        }
    }

    @Override
    void write(long number) {
        session.execute(insert.bind(number));
    }

    @Override
    Set<Long> readBack() {
        Set<Long> found = new HashSet<>();
        session.execute("SELECT n FROM load.numbers").forEach(row -> found.add(row.getLong(0)));
        return found;
    }

    public static void main(String[] arguments) throws Exception {
        List<InetSocketAddress> nodes =
                Arrays.stream(arguments[0].split(","))
                        .map(address -> new InetSocketAddress(address, 9042))
                        .collect(Collectors.toList());
        new CassandraLoad(nodes, arguments[1], arguments[2]).run();
    }
}
