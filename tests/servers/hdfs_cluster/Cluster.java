import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.PrivilegedExceptionAction;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.hdfs.MiniDFSCluster;
import org.apache.hadoop.hdfs.MiniDFSCluster.DataNodeProperties;
import org.apache.hadoop.hdfs.MiniDFSNNTopology;
import org.apache.hadoop.hdfs.protocol.HdfsConstants;
import org.apache.hadoop.hdfs.server.datanode.DataNode;

/**
 * Hadoop's miniature cluster, told what to do line by line.
 *
 * Arguments: a folder for its data, then how many namenodes: 1, or 2 for a pair of
 * which the first begins as the active one. Each line of its input is a command and
 * its arguments between tabs; each is answered with one line, "ok" and what was asked
 * for, or "failed" and why. It ends with its input.
 */
public final class Cluster {
  private final MiniDFSCluster cluster;
  private final int namenodes;
  private final Map<String, DataNodeProperties> stopped = new HashMap<>();

  private Cluster(File folder, int namenodes) throws Exception {
    this.namenodes = namenodes;
    Configuration conf = new Configuration();
    conf.setLong("dfs.blocksize", 4 << 20);
    conf.setInt("dfs.replication", 2);
    // A file that is closed a little too early for its blocks waits so long.
    conf.setInt("dfs.client.block.write.locateFollowingBlock.initial.delay.ms", 5);
    // What others make, everybody may change.
    conf.set("fs.permissions.umask-mode", "000");
    // Small, so that few files make a listing of several batches.
    conf.setInt("dfs.ls.limit", 50);
    conf.setBoolean("dfs.namenode.datanode.registration.ip-hostname-check", false);
    conf.set("dfs.http.policy", "HTTP_AND_HTTPS");
    conf.set("dfs.namenode.https-address", "127.0.0.1:0");
    conf.set("dfs.datanode.https.address", "127.0.0.1:0");
    // Who died is known within seconds.
    conf.setInt("dfs.heartbeat.interval", 1);
    conf.setInt("dfs.namenode.heartbeat.recheck-interval", 500);
    conf.set("dfs.client.block.write.replace-datanode-on-failure.policy", "NEVER");
    conf.setBoolean("dfs.namenode.edits.noeditlogchannelflush", true);
    MiniDFSNNTopology topology =
        namenodes == 1
            ? MiniDFSNNTopology.simpleSingleNN(0, 0)
            : MiniDFSNNTopology.simpleHATopology(namenodes);
    if (namenodes > 1) {
      conf.set(
          "dfs.client.failover.proxy.provider.minidfs-ns",
          "org.apache.hadoop.hdfs.server.namenode.ha.ConfiguredFailoverProxyProvider");
      conf.setInt("dfs.ha.tail-edits.period", 1);
    }
    cluster =
        new MiniDFSCluster.Builder(conf, folder)
            .nnTopology(topology)
            .numDataNodes(2)
            .hosts(new String[] {"dn1.internal", "dn2.internal"})
            .build();
    if (namenodes > 1) {
      cluster.transitionToActive(0);
    }
    cluster.waitActive();
    files().setPermission(new Path("/"), new FsPermission((short) 0777));
  }

  private DistributedFileSystem files() throws Exception {
    int active = 0;
    for (int n = 0; n < namenodes; n++) {
      if (cluster.getNameNode(n) != null && cluster.getNameNode(n).isActiveState()) {
        active = n;
      }
    }
    DistributedFileSystem found = cluster.getFileSystem(active);
    try {
      found.getFileStatus(new Path("/"));
    } catch (java.io.EOFException error) {
      // A connection that it kept, to a namenode that has been restarted.
      found.getFileStatus(new Path("/"));
    }
    return found;
  }

  private String addresses() {
    List<String> found = new ArrayList<>();
    for (int n = 0; n < namenodes; n++) {
      found.add("127.0.0.1:" + cluster.getNameNode(n).getHttpAddress().getPort());
    }
    return String.join(",", found);
  }

  private String datanodes() {
    List<String> found = new ArrayList<>();
    for (DataNode each : cluster.getDataNodes()) {
      found.add(each.getDatanodeId().getHostName() + ":" + each.getInfoPort());
    }
    return String.join(",", found);
  }

  private String act(String[] words) throws Exception {
    switch (words[0]) {
      case "addresses":
        return addresses();
      case "secure-addresses":
        return "127.0.0.1:" + cluster.getNameNode(0).getHttpsAddress().getPort();
      case "datanodes":
        return datanodes();
      case "active":
        int active = Integer.parseInt(words[1]);
        for (int n = 0; n < namenodes; n++) {
          if (n != active && cluster.getNameNode(n) != null) {
            cluster.transitionToStandby(n);
          }
        }
        cluster.transitionToActive(active);
        return "";
      case "none-active":
        for (int n = 0; n < namenodes; n++) {
          cluster.transitionToStandby(n);
        }
        return "";
      case "stop-namenode":
        cluster.shutdownNameNode(Integer.parseInt(words[1]));
        return "";
      case "start-namenode":
        cluster.restartNameNode(Integer.parseInt(words[1]), false);
        // It knows of no datanode before they have told it of themselves.
        cluster.waitActive(Integer.parseInt(words[1]));
        return "";
      case "stop-datanode":
        for (int n = 0; n < cluster.getDataNodes().size(); n++) {
          DataNode each = cluster.getDataNodes().get(n);
          if (each.getDatanodeId().getHostName().equals(words[1])) {
            stopped.put(words[1], cluster.stopDataNode(n));
            return "";
          }
        }
        throw new IllegalArgumentException("no such datanode");
      case "start-datanode":
        cluster.restartDataNode(stopped.remove(words[1]), true);
        cluster.waitActive();
        return "";
      case "safemode":
        files()
            .setSafeMode(
                words[1].equals("on")
                    ? HdfsConstants.SafeModeAction.SAFEMODE_ENTER
                    : HdfsConstants.SafeModeAction.SAFEMODE_LEAVE);
        return "";
      case "quota":
        files()
            .setQuota(new Path(words[1]), Long.parseLong(words[2]), Long.parseLong(words[3]));
        return "";
      case "snapshots":
        files().allowSnapshot(new Path(words[1]));
        files().createSnapshot(new Path(words[1]), "s");
        return "";
      case "mkdir":
        files().mkdirs(new Path(words[1]));
        return "";
      case "chmod":
        files().setPermission(new Path(words[1]), new FsPermission(words[2]));
        return "";
      case "chown":
        files().setOwner(new Path(words[1]), words[2], words[2]);
        return "";
      case "write":
        try (FSDataOutputStream out = files().create(new Path(words[1]), true)) {
          out.write(Base64.getDecoder().decode(words.length > 2 ? words[2] : ""));
        }
        return "";
      case "append":
        try (FSDataOutputStream out = files().append(new Path(words[1]))) {
          out.write(Base64.getDecoder().decode(words[2]));
        }
        return "";
      case "read":
        try (FSDataInputStream in = files().open(new Path(words[1]))) {
          return Base64.getEncoder().encodeToString(in.readAllBytes());
        }
      case "truncate":
        while (!files().truncate(new Path(words[1]), Long.parseLong(words[2]))) {
          Thread.sleep(50);
        }
        return "";
      case "touch":
        files().setTimes(new Path(words[1]), Long.parseLong(words[2]), -1);
        return "";
      case "move":
        return String.valueOf(files().rename(new Path(words[1]), new Path(words[2])));
      case "delete":
        return String.valueOf(files().delete(new Path(words[1]), true));
      case "blocks":
        return String.valueOf(
            files()
                .getFileBlockLocations(files().getFileStatus(new Path(words[1])), 0, 1L << 60)
                .length);
      case "token":
        return cluster
            .getNameNodeRpc()
            .getDelegationToken(new org.apache.hadoop.io.Text(words[1]))
            .encodeToUrlString();
      default:
        throw new IllegalArgumentException("no such command");
    }
  }

  public static void main(String[] arguments) throws Exception {
    Cluster made = new Cluster(new File(arguments[0]), Integer.parseInt(arguments[1]));
    System.out.println("ok\t" + made.addresses());
    BufferedReader in =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String answer;
      try {
        answer = "ok\t" + made.act(line.split("\t", -1));
      } catch (Throwable error) {
        answer = "failed\t" + String.valueOf(error).replaceAll("\\s", " ");
      }
      System.out.println(answer);
    }
    // Nothing of it is worth a decent end.
    Runtime.getRuntime().halt(0);
  }
}
