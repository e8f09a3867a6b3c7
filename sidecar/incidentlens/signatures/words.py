"""Word lists: what tells an outcome, what names a family, what says nothing in a name."""

from __future__ import annotations

# Words that say what happened: never taken for a value.
_OUTCOME_TEXT = """
fail failed failing fails failure failures error errors succeed succeeded success successful successfully ok
okay done complete completed completes completing completion incomplete finish finished finishing abort
aborted aborting cancel canceled cancelled cancelling timeout timeouts timed exceeded expired expiring expires
expire invalid valid missing denied deny refused rejected accept accepted allowed forbidden unauthorized
unavailable available unreachable reachable lost broken dead alive up down on off start started starting
starts stop stopped stopping stops restart restarted restarting begin beginning end ended ending open opened
opening close closed closing connect connected connecting disconnect disconnected disconnecting enable enabled
enabling disable disabled disabling create created creating delete deleted deleting add added adding remove
removed removing update updated updating send sending sent receive received receiving read reading write
writing written load loaded loading unload unloaded unloading register registered registering unregister
unregistered lock locked unlock unlocked login logout warn warning warnings critical fatal panic exception
crash crashed kill killed killing terminate terminated terminating exit exited exiting running pending ready
healthy unhealthy degraded full empty true false yes no not none null found unknown unexpected corrupt
corrupted reset retry retrying retried skip skipped skipping drop dropped dropping resume resumed pause paused
suspend suspended allow acquire acquired acquiring release released releasing commit committed rollback before
after without too
"""
OUTCOME = frozenset(_OUTCOME_TEXT.split())

# Words that tell nothing in a name.
_STOP_TEXT = """
the a an of for to is are was were be been being has have had in on at by with from and or as it its this that
these those which will would can could may might shall should do does did so if then than there here into onto
out over under up via per all any some each such very just only also again more most other our your my we you
he she they them i e g com org java lang util net io
"""
STOP = frozenset(_STOP_TEXT.split())

# A family a line; with equal hits the earlier one wins, so the order is from the particular to the general.
_FAMILY_TEXT = """
payment: payment payments card checkout invoice billing refund charge charged chargeback fraud stripe paypal
    gateway currency
security: injection xss csrf brute intrusion attack malicious firewall selinux avc exploit tampered ransomware
    virus suspicious
auth: auth authentication authenticate authenticated authorization authorize unauthorized login logon logout
    password credential credentials token jwt oauth session sessions permission kerberos ldap saml sso pam
    sshd sudo su account user
db: db database sql query deadlock postgres postgresql psycopg mysql mariadb mongo mongodb oracle jdbc hikari
    replication replica transaction transactions relation constraint pool redis cassandra sqlite rds innodb
    datasource hibernate
k8s: kubernetes kubelet pod pods container containers containerd image deployment replicaset namespace probe
    liveness readiness crashloopbackoff backoff docker scheduler node kube configmap oomkilled
queue: queue queues kafka rabbitmq amqp broker topic partition consumer producer offset nats sqs mqtt celery
    message messages
cache: cache caches cached memcached eviction evicted ttl stampede
tls: tls ssl certificate certificates x handshake cipher
storage: disk filesystem volume mount inode block blocks hdfs datanode nfs lustre raid ext xfs s3 bucket
    storage snapshot
http: http https request requests response get post put delete upstream nginx apache url uri endpoint status
    proxy
net: network socket connection connections connect connected dns hostname address port tcp udp peer timeout
    packet packets interface route unreachable ip channel grpc rpc websocket
infra: kernel cpu memory oom hardware machine interrupt temperature fan power heap swap thread threads process
    service systemd daemon startup shutdown restart boot bios pci
data: validation schema parse parser parsing csv json xml decode decoding encode encoding deserialize upload
    file column field format malformed import export
app: exception null pointer stack unhandled traceback assertion panic undefined nullpointerexception typeerror
    keyerror
"""


def _families() -> dict[str, tuple[str, int]]:
    families: dict[str, tuple[str, int]] = {}
    name, place = "", 0
    for word in _FAMILY_TEXT.split():
        if word.endswith(":"):
            name, place = word[:-1], place + 1
        else:
            families.setdefault(word, (name, place))
    return families


FAMILY_OF = _families()
