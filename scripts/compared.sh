#!/bin/sh
# Adds up what the tests compared with stock peers, which each left below the build's folder, and prints it as a table: a line
# for each peer and version. Fails if a peer of the list is not among them.
#
#   scripts/compared.sh FOLDER
set -eu

# Every peer that something must have been compared with.
PEERS='ovn-northd ovn-controller ovs-vswitchd ovsdb-server ovs-ofctl ovn-nbctl ovn-sbctl ovn-appctl ovn-trace ovsdbapp'

[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
found=$(find "$1" -name '*.tsv' 2>/dev/null | sort)
[ -n "$found" ] || { echo "$0: nothing was compared: $1 holds no figures" >&2; exit 1; }

# The names have no blanks: tests are named by their authors.
# shellcheck disable=SC2086
cat $found | awk -F '\t' -v peers="$PEERS" '
    {
        key = $1 "\t" $2
        if (!(key in tests)) order[++count] = key
        tests[key]++; seen[$1] = 1
        for (column = 3; column <= 6; column++) {
            sum[key, column] += $column
            total[column] += $column
        }
    }
    function row(name, version, tests, flows, rows, packets, answers) {
        printf "%-16s %-34s %11s %9s %7s %8s %8s\n", name, version, tests, flows, rows, packets, answers
    }
    END {
        row("peer", "version", "comparisons", "flows", "rows", "packets", "answers")
        for (at = 1; at <= count; at++) {
            key = order[at]
            split(key, part, "\t")
            all += tests[key]
            row(part[1], part[2], tests[key], sum[key, 3], sum[key, 4], sum[key, 5], sum[key, 6])
        }
        row("all", "", all, total[3], total[4], total[5], total[6])
        wanted = split(peers, list, " ")
        for (at = 1; at <= wanted; at++)
            if (!(list[at] in seen)) { print "nothing was compared with " list[at]; missing = 1 }
        exit missing
    }'
