#!/bin/sh
# A Kafka broker (KRaft, one node, loopback only) for tests/kafka.rs.
#
#   broker.sh install FOLDER
#       downloads the broker (46 jars, 44 MB) into FOLDER/libs; does nothing if it is there.
#       Needs java 17 or newer and mvn, and the pom.xml beside this script.
#   broker.sh run FOLDER DATA PORT CONTROLLER_PORT [SASL_PORT SASL_SSL_PORT]
#       becomes the broker (exec), so killing this pid ends it. DATA keeps the messages.
#       PORT is plain text. The two optional ports ask for PLAIN or SCRAM-SHA-512
#       (user "tester", password "open-sesame"); clients of SASL_SSL_PORT trust DATA/ca.pem.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

install() {
    [ -e "$1/libs/complete" ] && return
    mkdir -p "$1"
    mvn -B -q -f "$here/pom.xml" dependency:copy-dependencies \
        -DincludeScope=runtime -DoutputDirectory="$(cd "$1" && pwd)/libs"
    touch "$1/libs/complete"
}

# A throw-away authority, and a certificate for 127.0.0.1 and localhost that it signed.
certificate() {
    [ -e "$1/broker.pem" ] && return
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=test authority" \
        -addext "keyUsage=critical,keyCertSign" \
        -keyout "$1/ca.key" -out "$1/ca.pem" 2>"$1/openssl.log"
    openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=localhost" \
        -CA "$1/ca.pem" -CAkey "$1/ca.key" \
        -addext "basicConstraints=critical,CA:FALSE" \
        -addext "extendedKeyUsage=serverAuth" \
        -addext "subjectAltName=IP:127.0.0.1,DNS:localhost" \
        -keyout "$1/broker.key" -out "$1/broker.crt" 2>>"$1/openssl.log"
    cat "$1/broker.key" "$1/broker.crt" >"$1/broker.pem.new"
    mv "$1/broker.pem.new" "$1/broker.pem"
}

properties() { # DATA PORT CONTROLLER_PORT [SASL_PORT SASL_SSL_PORT]
    clients=PLAINTEXT://127.0.0.1:$2
    if [ $# -ge 5 ]; then
        clients=$clients,SASL_PLAINTEXT://127.0.0.1:$4,SASL_SSL://127.0.0.1:$5
    fi
    cat <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$3
controller.listener.names=CONTROLLER
listeners=CONTROLLER://127.0.0.1:$3,$clients
advertised.listeners=$clients
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
inter.broker.listener.name=PLAINTEXT
log.dirs=$1/log

auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
# After a kill -9 the controller refuses the broker until its old session has ended.
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=4194304
EOF
    [ $# -ge 5 ] || return 0
    plain='org.apache.kafka.common.security.plain.PlainLoginModule required user_tester="open-sesame";'
    scram='org.apache.kafka.common.security.scram.ScramLoginModule required;'
    cat <<EOF

sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.sasl_plaintext.plain.sasl.jaas.config=$plain
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config=$scram
listener.name.sasl_ssl.plain.sasl.jaas.config=$plain
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=$scram
listener.name.sasl_ssl.ssl.keystore.type=PEM
listener.name.sasl_ssl.ssl.keystore.location=$1/broker.pem
EOF
}

run() { # FOLDER DATA PORT CONTROLLER_PORT [SASL_PORT SASL_SSL_PORT]
    libs=$1/libs
    mkdir -p "$2"
    data=$(cd "$2" && pwd)
    shift 2
    [ $# -lt 4 ] || certificate "$data"
    properties "$data" "$@" >"$data/server.properties"
    # Small and quick to start: no optimising compiler, one-threaded collector, few log lines.
    java="java -Xms64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.awt.headless=true
        -Dorg.slf4j.simpleLogger.defaultLogLevel=${KAFKA_LOG:-warn}
        -Dorg.slf4j.simpleLogger.showDateTime=true"
    # The user is written at every first start, so that a later start may add the SASL ports.
    [ -e "$data/log/meta.properties" ] ||
        $java -cp "$libs/*" kafka.tools.StorageTool format \
            --cluster-id AAAAAAAAAAAAAAAAAAAAAQ --config "$data/server.properties" \
            --add-scram 'SCRAM-SHA-512=[name=tester,password=open-sesame]' >"$data/format.log" 2>&1 ||
        { cat "$data/format.log" >&2; exit 1; }
    exec $java -Xmx512m -cp "$libs/*" kafka.Kafka "$data/server.properties"
}

case "${1-} $#" in
"install 2") shift; install "$@" ;;
"run 5" | "run 7") shift; run "$@" ;;
*) sed -n '2,/^set/{/^#/p;}' "$0" >&2; exit 2 ;;
esac
