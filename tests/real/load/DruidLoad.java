import java.io.IOException;
import java.io.OutputStream;
import java.net.ConnectException;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Asks the routers for the rows of a datasource, by SQL. A question counts as acknowledged if it is answered, and as lost if the
 * answer lacks rows.
 */
final class DruidLoad extends Load {
    private static final int DAYS = 24;
    private static final int ROWS = 20;
    private static final String COUNT =
            "{\"query\":\"SELECT COUNT(*) AS c FROM \\\"load\\\"\",\"resultFormat\":\"array\",\"context\":{\"useCache\":false,\"populateCache\":false,\"timeout\":10000}}";
    private static final String ALL = "[[" + DAYS * ROWS + "]]";
    private final String[] addresses;
    private final Set<Long> complete = new HashSet<>();
    private final AtomicLong elections = new AtomicLong();
    private final AtomicInteger turn = new AtomicInteger();

    private DruidLoad(String[] addresses) throws Exception {
        this.addresses = addresses;
        ingest();
        Thread watch = new Thread(this::watch);
        watch.setDaemon(true);
        watch.start();
    }

    /** A segment for each day, in two replicas by Druid's own default. */
    private void ingest() throws Exception {
        StringBuilder rows = new StringBuilder();
        for (int day = 1; day <= DAYS; day++) {
            for (int row = 0; row < ROWS; row++) {
                rows.append(String.format("{\\\"t\\\":\\\"2026-01-%02dT00:00:00Z\\\",\\\"n\\\":\\\"%d\\\"}\\n", day, row));
            }
        }
        String task =
                "{\"type\":\"index_parallel\",\"spec\":{\"ioConfig\":{\"type\":\"index_parallel\",\"inputSource\":{\"type\":\"inline\",\"data\":\""
                        + rows
                        + "\"},\"inputFormat\":{\"type\":\"json\"}},\"tuningConfig\":{\"type\":\"index_parallel\"},"
                        + "\"dataSchema\":{\"dataSource\":\"load\",\"timestampSpec\":{\"column\":\"t\"},\"dimensionsSpec\":{\"dimensions\":[\"n\"]},"
                        + "\"granularitySpec\":{\"segmentGranularity\":\"day\",\"queryGranularity\":\"none\",\"rollup\":false}}}}";
        for (int tries = 1; ; tries++) {
            try {
                ask("POST", "/proxy/overlord/druid/indexer/v1/task", task);
                break;
            } catch (IOException early) {
                if (tries == 90) {
                    throw early;
                }
                Thread.sleep(1000);
            }
        }
        // Each replica is in its place when nothing is left to load.
        String status = "/proxy/coordinator/druid/coordinator/v1/loadstatus?full";
        for (int tries = 1; !isLoaded(status); tries++) {
            if (tries == 180) {
                throw new IllegalStateException("the segments are not loaded");
            }
            Thread.sleep(1000);
        }
    }

    private boolean isLoaded(String status) throws Exception {
        try {
            return ask("GET", status, null).contains("\"load\":0") && ask("POST", "/druid/v2/sql", COUNT).trim().equals(ALL);
        } catch (IOException early) {
            return false;
        }
    }

    @Override
    void write(long number) throws Exception {
        String count = ask("POST", "/druid/v2/sql", COUNT).trim();
        if (count.equals(ALL)) {
            complete.add(number);
        } else {
            System.err.println(Instant.now() + " " + count);
        }
    }

    @Override
    Set<Long> readBack() {
        return complete;
    }

    @Override
    long term() {
        return elections.get();
    }

    /** Counts how often another coordinator or overlord leads. */
    private void watch() {
        String[] paths = {"/proxy/coordinator/druid/coordinator/v1/leader", "/proxy/overlord/druid/indexer/v1/leader"};
        String[] leaders = new String[paths.length];
        while (true) {
            for (int at = 0; at < paths.length; at++) {
                try {
                    String leader = ask("GET", paths[at], null);
                    if (leaders[at] != null && !leaders[at].equals(leader)) {
                        elections.incrementAndGet();
                    }
                    leaders[at] = leader;
                } catch (IOException none) {
                    // Between two leaders nobody answers.
                }
            }
            try {
                Thread.sleep(250);
            } catch (InterruptedException over) {
                return;
            }
        }
    }

    /** As a Service does it: by turns, and not to one that takes no connection. */
    private String ask(String method, String path, String body) throws IOException {
        int first = turn.getAndIncrement();
        for (int tries = 0; ; tries++) {
            try {
                return ask(addresses[Math.floorMod(first + tries, addresses.length)], method, path, body);
            } catch (ConnectException closed) {
                if (tries + 1 == addresses.length) {
                    throw closed;
                }
            }
        }
    }

    private static String ask(String address, String method, String path, String body) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) new URL("http://" + address + ":8888" + path).openConnection();
        connection.setRequestMethod(method);
        connection.setConnectTimeout(2000);
        connection.setReadTimeout(10_000);
        if (body != null) {
            connection.setDoOutput(true);
            connection.setRequestProperty("Content-Type", "application/json");
            try (OutputStream out = connection.getOutputStream()) {
                out.write(body.getBytes(StandardCharsets.UTF_8));
            }
        }
        try (var in = connection.getInputStream()) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        }
    }

    public static void main(String[] arguments) throws Exception {
        new DruidLoad(arguments[0].split(",")).run();
    }
}
