import com.hazelcast.client.HazelcastClient;
import com.hazelcast.client.config.ClientConfig;
import com.hazelcast.core.HazelcastInstance;
import com.hazelcast.map.IMap;
import java.util.HashSet;
import java.util.Set;

/** Puts an entry for each number into a map with one backup. */
final class HazelcastLoad extends Load {
    private final IMap<Long, byte[]> map;

    private HazelcastLoad(String[] addresses) {
        ClientConfig config = new ClientConfig();
        config.setClusterName("default/my-db");
        config.setProperty("hazelcast.logging.type", "none");
        config.setProperty("hazelcast.client.invocation.timeout.seconds", "10");
        config.getNetworkConfig().addAddress(addresses).setRedoOperation(true);
        config.getConnectionStrategyConfig().getConnectionRetryConfig().setClusterConnectTimeoutMillis(-1);
        HazelcastInstance client = HazelcastClient.newHazelcastClient(config);
        map = client.getMap("load");
    }

    /** Something has to move when a member comes or goes. */
    @Override
    int writtenBefore() {
        return 5000;
    }

    @Override
    void write(long number) {
        map.set(number, new byte[4096]);
    }

    @Override
    Set<Long> readBack() {
        return new HashSet<>(map.keySet());
    }

    public static void main(String[] arguments) throws Exception {
        new HazelcastLoad(arguments[0].split(",")).run();
    }
}
