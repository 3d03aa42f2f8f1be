import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.TimeUnit;

/**
 * Writes one number after the other until a line comes in, then reads back which of the acknowledged ones are there, and prints
 * one line of JSON. What it measures is what a client of the database sees.
 */
abstract class Load {
    private static final long PAUSE_MS = 5;
    private static final long STALL_MS = 1000;
    private static final long NOTICED_MS = 250;

    /** Whom to trust is told by those who speak TLS. They are known by addresses that their certificates do not name. */
    static final boolean TLS = System.getProperty("javax.net.ssl.trustStore") != null;

    /** Returns when the database has acknowledged the write. */
    abstract void write(long number) throws Exception;

    /** The numbers that the database has. */
    abstract Set<Long> readBack() throws Exception;

    /** A number that grows by one with each election; negative where the database has none. */
    long term() throws Exception {
        return -1;
    }

    /** How many writes are acknowledged before anything is measured. */
    int writtenBefore() {
        return 20;
    }

    final void run() throws Exception {
        Set<Long> acknowledged = new TreeSet<>();
        long failed = 0, stalled = 0, longest = 0, without = 0;
        long number = 0;
        while (acknowledged.size() < writtenBefore()) {
            try {
                write(number);
                acknowledged.add(number);
            } catch (Exception early) {
                TimeUnit.MILLISECONDS.sleep(200);
            }
            number++;
        }
        long term = term();
        System.out.println("writing");
        long last = System.nanoTime();
        while (System.in.available() == 0) {
            long before = System.nanoTime();
            try {
                write(number);
                acknowledged.add(number);
                long now = System.nanoTime();
                long gap = TimeUnit.NANOSECONDS.toMillis(now - last);
                longest = Math.max(longest, gap);
                without += gap > NOTICED_MS ? gap : 0;
                last = now;
            } catch (Exception failure) {
                System.err.println(failure);
                failed++;
            }
            stalled += TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before) > STALL_MS ? 1 : 0;
            number++;
            TimeUnit.MILLISECONDS.sleep(PAUSE_MS);
        }
        // It may take a moment until the database is whole again.
        TimeUnit.SECONDS.sleep(2);
        long elections = term < 0 ? -1 : term() - term;
        int written = acknowledged.size();
        acknowledged.removeAll(readBack());
        System.out.printf(
                "{\"acknowledged\":%d,\"lost\":%d,\"failed\":%d,\"stalled\":%d,\"longestStall\":%d,\"withoutService\":%d,\"elections\":%s}%n",
                written, acknowledged.size(), failed, stalled, longest, without, elections < 0 ? "null" : elections);
        System.exit(0);
    }
}
