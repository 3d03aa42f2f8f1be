import java.io.File;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import org.apache.derby.drda.NetworkServerControl;
import org.apache.druid.cli.Main;
import org.apache.zookeeper.server.NIOServerCnxnFactory;
import org.apache.zookeeper.server.ZooKeeperServer;

/** A Derby with Druid's tables, and then a ZooKeeper, at this address. */
final class DruidNeeds {
    public static void main(String[] arguments) throws Exception {
        InetAddress address = InetAddress.getByName(arguments[0]);
        NetworkServerControl derby = new NetworkServerControl(address, 1527);
        derby.start(new PrintWriter(System.out));
        for (int tries = 1; !answers(derby); tries++) {
            if (tries == 60) {
                throw new IllegalStateException("Derby does not answer");
            }
            Thread.sleep(500);
        }
        // Processes that make them at the same time spoil it for each other.
        System.setProperty("druid.metadata.storage.type", "derby");
        System.setProperty("druid.extensions.loadList", "[]");
        String tables = "jdbc:derby://" + arguments[0] + ":1527/druid;create=true";
        Main.main(
                new String[] {
                    "tools", "metadata-init", "--connectURI", tables, "--user", "app", "--password", "app", "--base", "druid"
                });
        NIOServerCnxnFactory connections = new NIOServerCnxnFactory();
        connections.configure(new InetSocketAddress(address, 2181), 200);
        connections.startup(new ZooKeeperServer(new File("snapshots"), new File("log"), 2000));
        connections.join();
    }

    private static boolean answers(NetworkServerControl derby) {
        try {
            derby.ping();
            return true;
        } catch (Exception early) {
            return false;
        }
    }
}
