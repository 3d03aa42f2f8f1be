#!/bin/sh
# What a careful user types without kubectl dbupdate: the same update of a Kafka with controllers and brokers, by
# kubectl alone. It has no lock, no preflight and no verification, and asks no disruption budget.
#
# usage: peer.sh NAME VERSION
set -eu
db=$1
version=$2

image=$(kubectl get kafkaversion "$version" -o 'jsonpath={.spec.db.image}')

# Halt the operator, and wait for its acknowledgement.
now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
kubectl patch kafka "$db" --subresource=status --type=json -p "[{\"op\": \"add\", \"path\": \"/status/conditions/-\",
  \"value\": {\"type\": \"Paused\", \"status\": \"Unknown\", \"reason\": \"Paused\", \"message\": \"updated by hand\",
  \"lastTransitionTime\": \"$now\"}}]"
kubectl wait "kafka/$db" --for=condition=Paused --timeout=30s

for set in "$db-controller" "$db-broker"; do
    kubectl patch petset "$set" --type=json \
        -p "[{\"op\": \"replace\", \"path\": \"/spec/template/spec/containers/0/image\", \"value\": \"$image\"}]"
done

for set in "$db-controller" "$db-broker"; do
    replicas=$(kubectl get petset "$set" -o 'jsonpath={.spec.replicas}')
    ordinal=0
    while [ "$ordinal" -lt "$replicas" ]; do
        pod=$set-$ordinal
        # This waits until the old pod is gone.
        kubectl delete pod "$pod"
        kubectl wait "pod/$pod" --for=create --timeout=1m
        kubectl wait "pod/$pod" --for=condition=Ready --timeout=20m
        ordinal=$((ordinal + 1))
    done
done

kubectl patch kafka "$db" --type=merge -p "{\"spec\": {\"version\": \"$version\"}}"

# Resume the operator: take the condition out of the list.
at=0
for type in $(kubectl get kafka "$db" -o 'jsonpath={.status.conditions[*].type}'); do
    [ "$type" = Paused ] && break
    at=$((at + 1))
done
kubectl patch kafka "$db" --subresource=status --type=json -p "[
  {\"op\": \"test\", \"path\": \"/status/conditions/$at/type\", \"value\": \"Paused\"},
  {\"op\": \"remove\", \"path\": \"/status/conditions/$at\"}]"
kubectl wait "kafka/$db" --for='jsonpath={.status.phase}=Ready' --timeout=5m
