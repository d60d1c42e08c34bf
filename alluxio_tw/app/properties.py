"""
Every property there is, as a table one can read.

Names are Alluxio's wherever Alluxio has one; C{alluxio.worker.s3.*} and
C{alluxio.tw.*} beside them are ours, in the same manner.  The constants are how
L{alluxio_tw.app.config} asks for values; nothing else knows a name.

This one table goes beyond 400 lines: cut in two, no part would be the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import attrs

from alluxio_tw.app import kinds
from alluxio_tw.app.kinds import BOOL, HOST, PATH, PORT, TEXT, Kind

T = TypeVar("T")

KB, MB, GB, TB = 1 << 10, 1 << 20, 1 << 30, 1 << 40


@attrs.frozen(eq=False)
class Property(Generic[T]):
    """
    One property.

    :ivar default: as it would be written; may refer to another property
        as C{${name}}.
    :ivar meaning: one sentence, or two.
    :ivar aliases: older names, understood with a warning.
    :ivar reload: what it names is read anew at SIGHUP.
    :ivar secret: its value is shown to nobody.
    """

    name: str
    kind: Kind[T]
    default: str
    meaning: str
    aliases: tuple[str, ...] = ()
    reload: bool = False
    secret: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return variable(self.name)


def variable(name: str) -> str:
    """The environment variable that sets the property C{name}."""
    return name.upper().replace(".", "_")


@attrs.frozen
class Chapter:
    """
    Properties that belong together.
    """

    title: str
    properties: list[Property[Any]] = attrs.field(factory=list)

    def add(
        self,
        name: str,
        kind: Kind[T],
        default: str,
        meaning: str,
        aliases: tuple[str, ...] = (),
        reload: bool = False,
        secret: bool = False,
    ) -> Property[T]:
        """Enter a property."""
        entry = Property(name, kind, default, meaning, aliases, reload, secret)
        self.properties.append(entry)
        return entry


# --- where it listens -------------------------------------------------------

_listening = Chapter("Where it listens")

S3_ENABLED = _listening.add(
    "alluxio.worker.s3.api.enabled",
    BOOL,
    "true",
    "Serve the S3 API. Without it only the admin port is served.",
)
S3_HOST = _listening.add(
    "alluxio.worker.s3.bind.host",
    HOST,
    "127.0.0.1",
    "The address that the S3 ports listen on. 0.0.0.0 is all of them.",
)
S3_PORT = _listening.add(
    "alluxio.worker.s3.port",
    PORT,
    "29998",
    "The port for S3 over HTTP. 0 lets the system choose one.",
)
S3_HTTPS_PORT = _listening.add(
    "alluxio.worker.s3.https.port",
    PORT,
    "29996",
    "The port for S3 over HTTPS, open when a certificate is configured.",
)
S3_HTTPS_ONLY = _listening.add(
    "alluxio.worker.s3.only.https.access",
    BOOL,
    "false",
    "Do not open the HTTP port: S3 is served over HTTPS only.",
)
WEB_HOST = _listening.add(
    "alluxio.worker.web.bind.host",
    HOST,
    "127.0.0.1",
    "The address that the admin port listens on: /metrics, /healthz, /readyz.",
)
WEB_PORT = _listening.add(
    "alluxio.worker.web.port",
    PORT,
    "30000",
    "The admin port. 0 lets the system choose one.",
)
TCP_BACKLOG = _listening.add(
    "alluxio.worker.s3.tcp.backlog",
    kinds.integer(1, 65535),
    "1024",
    "How many connections may wait to be accepted.",
)
TCP_CONGESTION = _listening.add(
    "alluxio.worker.s3.tcp.congestion",
    TEXT,
    "auto",
    "The TCP congestion control of S3 connections, such as cubic; system leaves it as "
    "the system has it. auto does so too, but where that is bbr, clients less than a "
    "millisecond away get cubic, which sends to them twice as fast.",
)

# --- TLS --------------------------------------------------------------------

_tls = Chapter("TLS")

TLS_CERTIFICATE = _tls.add(
    "alluxio.worker.s3.tls.certificate.path",
    PATH,
    "",
    "The server's certificate, PEM; may have its chain, and its key, after it. "
    "HTTPS is served when this is set.",
    reload=True,
)
TLS_KEY = _tls.add(
    "alluxio.worker.s3.tls.key.path",
    PATH,
    "",
    "The private key of the certificate, PEM, not encrypted. Empty: it is in the "
    "certificate's file.",
    reload=True,
)
TLS_CHAIN = _tls.add(
    "alluxio.worker.s3.tls.chain.path",
    PATH,
    "",
    "Certificates between the server's and the root, PEM, if they are not in the "
    "certificate's file.",
    reload=True,
)
TLS_CLIENT_CA = _tls.add(
    "alluxio.worker.s3.tls.client.ca.path",
    PATH,
    "",
    "Authorities, PEM, whose client certificates are accepted. Empty: clients are "
    "not asked for one.",
    reload=True,
)
TLS_CLIENT_REQUIRED = _tls.add(
    "alluxio.worker.s3.tls.client.certificate.required",
    BOOL,
    "true",
    "Whether a client without a certificate is refused, where authorities are "
    "configured. A wrong certificate is refused always.",
)
TLS_LEAST = _tls.add(
    "alluxio.worker.s3.tls.version.min",
    kinds.choice(("1.2", "1.3"), {"tlsv1.2": "1.2", "tlsv1.3": "1.3"}),
    "1.2",
    "The oldest version of TLS that is spoken.",
)

# --- connections ------------------------------------------------------------

_connections = Chapter("Connections and their limits")

KEEP_ALIVE = _connections.add(
    "alluxio.worker.s3.connection.keep.alive.enabled",
    BOOL,
    "true",
    "Keep connections open between requests. Alluxio's default is false.",
)
IDLE_TIME = _connections.add(
    "alluxio.worker.s3.connection.idle.max.time",
    kinds.duration(),
    "60s",
    "How long a connection may be idle between requests. 0s is for ever, which is "
    "Alluxio's default.",
)
CONNECTIONS = _connections.add(
    "alluxio.worker.s3.connections.max",
    kinds.integer(1, 1_000_000),
    "4096",
    "How many connections may be open; more are closed at once.",
)
HEADER_SIZE = _connections.add(
    "alluxio.worker.s3.header.max.size",
    kinds.size(KB, MB),
    "16KB",
    "The largest header block of a request.",
)
URL_SIZE = _connections.add(
    "alluxio.worker.s3.url.max.size",
    kinds.size(KB, MB),
    "8KB",
    "The longest URL of a request.",
)
HEADER_TIME = _connections.add(
    "alluxio.worker.s3.header.timeout",
    kinds.duration(0.1),
    "30s",
    "How long a client may take to send a whole header block.",
)
BODY_TIME = _connections.add(
    "alluxio.worker.s3.request.body.timeout",
    kinds.duration(0.1),
    "60s",
    "How long a client may send nothing of a body that is waited for.",
)
WRITE_TIME = _connections.add(
    "alluxio.worker.s3.write.timeout",
    kinds.duration(0.1),
    "60s",
    "How long a client may take nothing of an answer.",
)
REQUESTS = _connections.add(
    "alluxio.worker.s3.requests.max",
    kinds.integer(1, 1_000_000),
    "768",
    "How many requests are worked on at once; a listing or a copy counts as 8, a list "
    "of keys to delete or of parts as 16. What is answered at once from the cache "
    "does not count.",
)
REQUESTS_EACH = _connections.add(
    "alluxio.worker.s3.requests.per.client.max",
    kinds.integer(0, 1_000_000),
    "0",
    "How many of them may be of one client: of a user, or of an address where "
    "signatures are not checked. 0 is three quarters, so that others find room.",
)
REQUESTS_WAITING = _connections.add(
    "alluxio.worker.s3.requests.queue.max",
    kinds.integer(0, 1_000_000),
    "512",
    "How many requests may wait for their turn; more are answered 503 SlowDown.",
)
REQUESTS_TIME = _connections.add(
    "alluxio.worker.s3.requests.queue.timeout",
    kinds.duration(),
    "5s",
    "How long a request may wait for its turn before it is answered 503 SlowDown.",
)
INTAKE_SIZE = _connections.add(
    "alluxio.worker.s3.bytes.in.flight.max",
    kinds.size(MB, TB),
    "64MB",
    "How much of request bodies may lie in memory, received and not yet stored; "
    "beyond it, clients are made to wait.",
)
DRAIN_TIME = _connections.add(
    "alluxio.worker.s3.drain.timeout",
    kinds.duration(),
    "30s",
    "How long requests in flight may take to finish after SIGTERM.",
)

# --- S3 ---------------------------------------------------------------------

_s3 = Chapter("The S3 API")

AUTHENTICATION = _s3.add(
    "alluxio.worker.s3.authentication.type",
    kinds.choice(("SIMPLE", "SIGV4")),
    "SIMPLE",
    "SIMPLE believes the access key that a request names, and checks no signature. "
    "SIGV4 checks signatures, with the secrets of access keys.",
)
REGION = _s3.add(
    "alluxio.worker.s3.region",
    TEXT,
    "us-east-1",
    "The region that buckets are said to be in. Where it is set, signatures for "
    "another are refused.",
)
ACCESS_KEYS = _s3.add(
    "alluxio.worker.s3.access.keys.path",
    PATH,
    "",
    "A file of access keys for SIGV4: access key, secret and user in each line. It "
    "is read anew when it changes. Empty: only those of 'alluxio-s3 key'.",
    reload=True,
)
ADMINISTRATORS = _s3.add(
    "alluxio.worker.s3.administrators",
    kinds.listed(TEXT),
    "",
    "Users who may do with every bucket what its owner may. Under SIMPLE everybody may.",
)
DEFAULT_ACCESS = _s3.add(
    "alluxio.worker.s3.default.access",
    kinds.choice(("owner", "authenticated-read", "authenticated", "public-read")),
    "authenticated",
    "Under SIGV4, who may use buckets that nobody created over S3, mounted ones above "
    "all: owner is the user that runs the daemon; authenticated-read lets everybody "
    "with an access key read, authenticated read and write; public-read besides lets "
    "read who has none. Policies of the bucket come on top.",
)
DOMAIN_NAMES = _s3.add(
    "alluxio.worker.s3.domain.names",
    kinds.listed(kinds.DOMAIN),
    "",
    "Domain names under which buckets are addressed as hosts: with s3.example.com, "
    "photos.s3.example.com is the bucket photos.",
)
PATH_PREFIX = _s3.add(
    "alluxio.worker.s3.path.prefix",
    kinds.PREFIX,
    "",
    "A path before every bucket, such as /s3.",
)
REDIRECT = _s3.add(
    "alluxio.worker.s3.redirect.enabled",
    BOOL,
    "false",
    "Answer 307 to clients that could have asked the worker that owns the object. "
    "Without a cluster it changes nothing.",
)
TAG_RESTRICTIONS = _s3.add(
    "alluxio.worker.s3.tagging.restrictions.enabled",
    BOOL,
    "true",
    "Hold tags to S3's limits: 10 on an object, 50 on a bucket, keys of 128 and "
    "values of 256 characters.",
    aliases=("alluxio.proxy.s3.tagging.restrictions.enabled",),
)
METADATA_SIZE = _s3.add(
    "alluxio.worker.s3.header.metadata.max.size",
    kinds.size(0, 64 * KB),
    "2KB",
    "The most user metadata of an object, names and values together.",
    aliases=("alluxio.proxy.s3.header.metadata.max.size",),
)
PUT_SIZE = _s3.add(
    "alluxio.worker.s3.object.put.max.size",
    kinds.size(1, 50 * TB),
    "5GB",
    "The largest object of a single PUT.",
)
OBJECT_SIZE = _s3.add(
    "alluxio.worker.s3.object.max.size",
    kinds.size(1),
    "50TB",
    "The largest object that a multipart upload may make.",
)
PART_LEAST = _s3.add(
    "alluxio.worker.s3.multipart.part.min.size",
    kinds.size(1, 5 * GB),
    "5MB",
    "The smallest part of a multipart upload, but for its last.",
    aliases=("alluxio.proxy.s3.complete.multipart.upload.min.part.size",),
)
PART_MOST = _s3.add(
    "alluxio.worker.s3.multipart.part.max.size",
    kinds.size(1, 50 * TB),
    "5GB",
    "The largest part of a multipart upload.",
)
ABANDONED_AGE = _s3.add(
    "alluxio.worker.s3.multipart.abandoned.age",
    kinds.duration(),
    "7d",
    "How old a multipart upload may become before it is aborted. 0s is for ever.",
    aliases=("alluxio.proxy.s3.multipart.upload.cleaner.timeout",),
)
XML_SIZE = _s3.add(
    "alluxio.worker.s3.xml.body.max.size",
    kinds.size(KB, 16 * MB),
    "1MB",
    "The largest XML document that a request may bring.",
)
XML_LIST_SIZE = _s3.add(
    "alluxio.worker.s3.xml.list.max.size",
    kinds.size(KB, 16 * MB),
    "2MB",
    "The same for the two that are lists: DeleteObjects and CompleteMultipartUpload.",
)
FOLDER_OBJECTS = _s3.add(
    "alluxio.worker.s3.folder.objects.enabled",
    BOOL,
    "false",
    "List directories as objects of 0 bytes, as Alluxio does.",
)

# --- data -------------------------------------------------------------------

_data = Chapter("Data and the process")

DATA_DIR = _data.add(
    "alluxio.tw.data.dir",
    PATH,
    "./alluxio-s3-data",
    "The folder for what the daemon keeps: its state, the cache, the access log, and "
    "buckets/, which is the namespace's root where nothing else is mounted there.",
)
CONTROL_SOCKET = _data.add(
    "alluxio.tw.control.socket",
    PATH,
    "${alluxio.tw.data.dir}/control.sock",
    "The Unix socket by which commands of alluxio-s3 talk to the daemon; only its own "
    "user can open it. Empty for none.",
)
THREADS = _data.add(
    "alluxio.tw.threads.max",
    kinds.integer(1, 1024),
    "16",
    "How many threads there may be for work that can block.",
)
STATE_SIZE = _data.add(
    "alluxio.tw.state.max.size",
    kinds.size(MB, 64 * GB),
    "256MB",
    "The most that the embedded state store may take on disk.",
)
RECORDS_SIZE = _data.add(
    "alluxio.tw.records.max.size",
    kinds.size(MB, TB),
    "1GB",
    "The most that the records of objects may take on disk.",
)
RECORDS_ENTRIES = _data.add(
    "alluxio.tw.records.memory.entries",
    kinds.integer(0, 100_000_000),
    "20000",
    "How many records of objects are kept decoded in memory.",
)

# --- the page store ---------------------------------------------------------

_pages = Chapter("The page store")

PAGE_SIZE = _pages.add(
    "alluxio.worker.page.store.page.size",
    kinds.size(4 * KB, 64 * MB),
    "1MB",
    "The size of a page. Pages of another size in the directories are of no use.",
)
PAGE_DIRS = _pages.add(
    "alluxio.worker.page.store.dirs",
    kinds.listed(PATH, 16),
    "${alluxio.tw.data.dir}/cache",
    "Directories that pages are kept in, nearest first. Empty: pages are kept in "
    "memory only.",
)
PAGE_QUOTAS = _pages.add(
    "alluxio.worker.page.store.sizes",
    kinds.listed(kinds.optional(kinds.size(MB, 1 << 50), "auto"), 16),
    "auto",
    "The quota of each directory; one value stands for all. auto is 10GB, or a tenth "
    "of the file system, or half of what is free there, whichever is least.",
)
PAGE_OVERHEAD = _pages.add(
    "alluxio.worker.page.store.overhead",
    kinds.fraction(0.9),
    "0.1",
    "The part of each quota that is left for what the file system adds.",
)
PAGE_EVICTOR = _pages.add(
    "alluxio.worker.page.store.evictor.class",
    kinds.choice(
        ("S3FIFO", "LRU", "LFU"),
        {
            f"{package}{name}cacheevictor": word
            for package in ("", "alluxio.client.file.cache.evictor.")
            for name, word in (("fifo", "S3FIFO"), ("lru", "LRU"), ("lfu", "LFU"))
        }
        | {"s3-fifo": "S3FIFO", "fifo": "S3FIFO"},
    ),
    "S3FIFO",
    "Which pages go first. Alluxio's LRUCacheEvictor and LFUCacheEvictor are "
    "understood; its FIFOCacheEvictor is taken for S3FIFO.",
)
PAGE_MEMORY = _pages.add(
    "alluxio.worker.page.store.memory.size",
    kinds.size(0, 1 << 45),
    "32MB",
    "How much of the hottest pages is kept in memory. 0 for none.",
)
PAGE_LOAD_MEMORY = _pages.add(
    "alluxio.worker.page.store.load.memory",
    kinds.size(4 * MB, 1 << 40),
    "12MB",
    "How much may be on its way from the storages into the cache at a time.",
)
PAGE_READ_AHEAD = _pages.add(
    "alluxio.worker.page.store.readahead.pages.max",
    kinds.integer(0, 1024),
    "16",
    "How many pages are read ahead of a sequential reader, at most. 0 for none.",
)

# --- rules ------------------------------------------------------------------

_rules = Chapter("Rules for what is cached, and for how long")

RULES_ENABLED = _rules.add(
    "alluxio.user.client.cache.filter.enabled",
    BOOL,
    "true",
    "Whether the rules count. Without a file there are none.",
)
RULES_TYPE = _rules.add(
    "alluxio.user.client.cache.filter.type",
    kinds.choice(("RULE_SET",)),
    "RULE_SET",
    "The form of the rules' file; there is no other.",
)
RULES_FILE = _rules.add(
    "alluxio.user.client.cache.filter.config.file",
    PATH,
    "",
    "A JSON file of rules by patterns of /bucket/key; docs/freshness.md has its form. "
    "Empty is none: the options of the mounts say everything.",
    reload=True,
)
RULES_INTERVAL = _rules.add(
    "alluxio.user.client.cache.filter.config.check.interval",
    kinds.duration(0.1, 86400.0),
    "5min",
    "How often that file is looked at for changes. SIGHUP has it looked at at once.",
)

# --- storages ---------------------------------------------------------------

_storages = Chapter("Storages")

S3_UPLOAD_THREADS = _storages.add(
    "alluxio.underfs.s3.upload.threads.max",
    kinds.optional(kinds.integer(1, 1000), "auto"),
    "auto",
    "How many parts of one object are on their way to an S3 storage at once, for mounts "
    "without an upload_threads of their own. auto is 4.",
)
S3_UPLOAD_BUFFERS = _storages.add(
    "alluxio.underfs.s3.multipart.upload.buffer.number",
    kinds.optional(kinds.integer(1, 100_000), "auto"),
    "auto",
    "How many parts all uploads to one S3 storage together may hold in memory, for "
    "mounts without an upload_memory of their own. auto is 256MB of them.",
)

# --- logs -------------------------------------------------------------------

_logs = Chapter("Logs")

ACCESS_LOGGING = _logs.add(
    "alluxio.worker.s3.access.logging.enabled",
    BOOL,
    "false",
    "Log every request. Otherwise only those that fail are logged.",
)
ACCESS_PATH = _logs.add(
    "alluxio.worker.s3.access.log.path",
    PATH,
    "${alluxio.tw.data.dir}/logs/access.log",
    "The access log's file, reopened at SIGHUP. - is the standard output; empty is "
    "no access log at all.",
    reload=True,
)
ACCESS_FORMAT = _logs.add(
    "alluxio.worker.s3.access.log.format",
    kinds.choice(("json", "s3")),
    "json",
    "json is one object a line; s3 is the format of S3's server access logs.",
)
ACCESS_BUFFER = _logs.add(
    "alluxio.worker.s3.access.log.buffer.size",
    kinds.size(64 * KB, GB),
    "4MB",
    "How much of the access log may wait to be written; what is more is counted and "
    "dropped.",
)
ACCESS_SIZE = _logs.add(
    "alluxio.worker.s3.access.log.max.size",
    kinds.size(0),
    "256MB",
    "At this size the access log is renamed to end in .1 and begun anew. 0 for never.",
)
ACCESS_FILES = _logs.add(
    "alluxio.worker.s3.access.log.files.max",
    kinds.integer(1, 1000),
    "4",
    "How many access logs that were renamed so are kept.",
)
LOG_PATH = _logs.add(
    "alluxio.tw.log.path",
    PATH,
    "",
    "The daemon's own log. Empty leaves it to twistd: its --logfile, or the standard "
    "output with -n.",
    reload=True,
)
LOG_LEVEL = _logs.add(
    "alluxio.tw.log.level",
    kinds.choice(("debug", "info", "warn", "error"), {"warning": "warn"}),
    "info",
    "The least important messages that are logged.",
)

CHAPTERS = (
    _listening,
    _tls,
    _connections,
    _s3,
    _data,
    _pages,
    _rules,
    _storages,
    _logs,
)

TABLE: Mapping[str, Property[Any]] = {
    entry.name: entry for chapter in CHAPTERS for entry in chapter.properties
}

ALIASES: Mapping[str, Property[Any]] = {
    alias: entry for entry in TABLE.values() for alias in entry.aliases
}


@attrs.frozen
class MountProperty:
    """
    Properties of which every mount has its own: names with a part to fill in.
    """

    pattern: str
    kind: str
    default: str
    meaning: str


MOUNT_PROPERTIES = (
    MountProperty(
        "alluxio.tw.mount.<name>.uri",
        "URI",
        "",
        "The storage that is mounted: file:///srv/photos, s3://bucket/prefix, or just "
        "the path of a local directory. <name> is of your choice. For the mount named "
        "root, empty is no mount at /.",
    ),
    MountProperty(
        "alluxio.tw.mount.<name>.path",
        "path",
        "/<name>",
        "Where it is mounted: /photos is the bucket photos; at /, the directories of the "
        "storage are the buckets. The mount named root is mounted at /.",
    ),
    MountProperty(
        "alluxio.tw.mount.<name>.option.<option>",
        "text",
        "",
        "An option of the mount or of its driver, such as option.readonly=true.",
    ),
)

IGNORED: Mapping[str, str] = {
    "alluxio.underfs.object.store.multipart.upload.async": "parts are always sent while "
    "others come in",
    "alluxio.underfs.xattr.change.enabled": "tags are kept wherever the storage can",
    "alluxio.proxy.s3.writetype": "every write goes through to the storage",
    "alluxio.proxy.s3.deletetype": "every delete goes through to the storage",
    "alluxio.proxy.s3.bucket.naming.restrictions.enabled": "new buckets are always "
    "held to S3's names",
    "alluxio.proxy.s3.multipart.upload.cleaner.enabled": "abandoned uploads are always "
    "aborted; see alluxio.worker.s3.multipart.abandoned.age",
    "alluxio.worker.s3.redirect.health.check.enabled": "redirects need no check here",
    "alluxio.user.client.cache.filter.class": "there is one; see "
    "alluxio.user.client.cache.filter.config.file",
    "alluxio.worker.page.store.type": "pages are kept in memory and in directories",
    "alluxio.worker.page.store.async.write.enabled": "pages are always written behind",
    "alluxio.worker.page.store.async.write.threads": "see alluxio.tw.threads.max",
    "alluxio.worker.page.store.async.restore.enabled": "pages are always restored behind",
    "alluxio.worker.page.store.quota.enabled": "every directory has its quota",
    "alluxio.worker.page.store.eviction.retries": "eviction is exact",
    "alluxio.worker.page.store.evictor.lfu.logbase": "LFU counts",
    "alluxio.worker.page.store.timeout.duration": "reads of pages do not time out",
    "alluxio.worker.page.store.local.store.file.buckets": "the layout is another",
    "alluxio.master.hostname": "there is no master",
    "alluxio.worker.hostname": "see alluxio.worker.s3.bind.host",
    "alluxio.security.authentication.type": "see alluxio.worker.s3.authentication.type",
    "alluxio.security.authorization.permission.enabled": "there are no such permissions",
}
"""
Properties of Alluxio that its users have in their files and that need nothing
here, with the reason; each is passed over with a warning.
"""
