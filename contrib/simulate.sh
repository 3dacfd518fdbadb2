#!/usr/bin/env bash
# Agreement in simulation, for longer than contrib/test.sh has time: contrib/simulate.sh [--seeds N] [--first N] [--bugs]
#
# Each seed is a world of its own: members of the store with disks that forget, in a network that loses, broken in ways
# that are drawn from the seed (cluster/store/tests/simulation). Without --seeds it runs a million of them, optimised and
# with the assertions of a debug build: some hours. A seed that breaks is named, and breaks again with
#   SWARMRS_SIMULATION_FIRST=SEED SWARMRS_SIMULATION_SEEDS=1 SWARMRS_SIMULATION_TELL=1 \
#     cargo test -p swarmrs-store --test simulation -- --nocapture
#
# --bugs: puts the bugs of cluster/store/tests/simulation/bugs.txt into a copy of the tree, each behind a switch, and looks
# whether the seeds that contrib/test.sh runs find each of them.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
seeds=1000000 first=1 bugs=

while [ $# -gt 0 ]; do
    case $1 in
        --seeds) seeds=${2:?--seeds needs a number}; shift 2 ;;
        --first) first=${2:?--first needs a number}; shift 2 ;;
        --bugs) bugs=1; shift ;;
        *) sed -n 's/^# \{0,1\}//p' "$0" | sed 1d >&2; exit 2 ;;
    esac
done

if [ -z "$bugs" ]; then
    export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
    SWARMRS_SIMULATION_FIRST=$first SWARMRS_SIMULATION_SEEDS=$seeds \
        cargo test --release --package swarmrs-store --test simulation -- --nocapture
    exit
fi

copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar --exclude=./target --exclude=./.git -cf - . | tar -xf - -C "$copy"

# Puts each bug in: what stood there before stands beside it, and the environment chooses.
cat >"$copy/plant.pl" <<'PERL'
use strict;
use warnings;
my ($list, $source) = @ARGV;
open my $in, '<', $list or die "$list: $!";
my @lines = grep { !/^#/ } <$in>;
my $number = 0;
for my $block (split /\n{2,}/, join '', @lines) {
    my @parts = grep { length } split /\n/, $block;
    next unless @parts;
    my ($words, $file, $old, $new) = @parts;
    die "not four lines: $words\n" unless @parts == 4 and $old =~ s/^- // and $new =~ s/^\+ //;
    $number++;
    my $path = "$source/$file";
    my $text = do { open my $f, '<', $path or die "$path: $!"; local $/; <$f> };
    my $pattern = join '\s*', map quotemeta, split /\s+/, $old;
    my $found = () = $text =~ /$pattern/g;
    die "$words: found $found times in $file: $old\n" unless $found == 1;
    # A match arm keeps its pattern outside.
    my ($arm, $comma) = ('', '');
    if ($old =~ /^(.* => )(.*)(,)$/s) {
        ($arm, $old, $comma) = ($1, $2, $3);
        $new =~ s/^.* => //;
        $new =~ s/,$//;
    }
    my $let = $old =~ s/^(let \w+ = )// ? $1 : '';
    my $end = '';
    if ($let) {
        $new =~ s/^\Q$let\E//;
        $old =~ s/;$//;
        $new =~ s/;$//;
        $end = ';';
    }
    my $chosen = qq{std::env::var("PLANTED").as_deref() == Ok("$number")};
    $text =~ s/$pattern/$arm${let}if $chosen { $new } else { $old }$end$comma/;
    open my $out, '>', $path or die "$path: $!";
    print $out $text;
    print "$number\t$words\n";
}
PERL
perl "$copy/plant.pl" "$root/cluster/store/tests/simulation/bugs.txt" "$copy/cluster" >"$copy/bugs"
target=${CARGO_TARGET_DIR:-$root/target}
program=$(CARGO_TARGET_DIR=$target cargo test --manifest-path "$copy/Cargo.toml" --package swarmrs-store --test simulation \
    --no-run --message-format json-render-diagnostics | grep -o '"executable":"[^"]*/simulation-[^"]*"' | cut -d'"' -f4)

cd "$root/cluster/store"
tested=$(grep -o 'SWARMRS_SIMULATION_SEEDS=[0-9]*' "$root/contrib/test.sh")
total=0 survivors=0
while IFS=$'\t' read -r number words; do
    total=$((total + 1))
    status=0
    env "$tested" SWARMRS_SIMULATION_STOP=1 PLANTED="$number" \
        timeout 1800 "$program" whatever_breaks --nocapture >"$copy/output" 2>&1 || status=$?
    told='s/^SWARMRS_SIMULATION_FIRST=\([0-9]*\) SWARMRS_SIMULATION_SEEDS=1: /seed \1: /p'
    found=$(sed -n "$told" "$copy/output" | sed -n 1p | cut -c1-170)
    if [ -n "$found" ]; then
        echo "found     $words ($found)"
    else
        echo "SURVIVED  $words (status $status)"
        survivors=$((survivors + 1))
    fi
done <"$copy/bugs"
echo "$total bugs, $survivors not found"
[ "$survivors" = 0 ]
