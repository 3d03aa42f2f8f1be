import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.ZooDefs;
import org.apache.zookeeper.ZooKeeper;
import org.apache.zookeeper.data.Stat;

/** Creates a znode for each number. */
final class ZooKeeperLoad extends Load {
    private static final String ROOT = "/load";
    private final ZooKeeper client;

    private ZooKeeperLoad(String[] addresses) throws Exception {
        String servers = Arrays.stream(addresses).map(address -> address + ":2181").collect(Collectors.joining(","));
        // A client of a server that hangs looks for another after two thirds of it.
        client = new ZooKeeper(servers, 6_000, event -> {});
    }

    @Override
    void write(long number) throws Exception {
        try {
            client.create(ROOT + "/" + number, new byte[64], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        } catch (KeeperException.NoNodeException first) {
            client.create(ROOT, new byte[0], ZooDefs.Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
            throw first;
        }
    }

    @Override
    Set<Long> readBack() throws Exception {
        client.sync(ROOT, (code, path, context) -> {}, null);
        return client.getChildren(ROOT, false).stream().map(Long::valueOf).collect(Collectors.toCollection(HashSet::new));
    }

    /** The epoch: the upper half of the last transaction's number. */
    @Override
    long term() throws Exception {
        Stat stat = new Stat();
        write(-1 - System.nanoTime());
        client.getData(ROOT, false, stat);
        return stat.getPzxid() >>> 32;
    }

    public static void main(String[] arguments) throws Exception {
        new ZooKeeperLoad(arguments[0].split(",")).run();
    }
}
