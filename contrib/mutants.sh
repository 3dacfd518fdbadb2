#!/usr/bin/env bash
# Plays the mistakes of cluster/core/tests/mutants.txt: each must make the scenario or test it names fail.
#
# All of them are put into one copy of the tree, each behind a switch that the environment sets, so it is built once.
# Takes a few minutes, most of them the build; not part of CI.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
tar --exclude=./target --exclude=./.git -cf - . | tar -xf - -C "$copy"
core=$copy/cluster/core

# One mistake as three lines: its words, what finds it, and where. A line is replaced as a whole, with a switch around
# it if it is a part of an expression, a match arm or a condition.
cat >"$copy/plant.pl" <<'PERL'
use strict;
use warnings;
my ($list, $source) = @ARGV;
open my $in, '<', $list or die "$list: $!";
my @lines = grep { !/^#/ } <$in>;
my $number = 0;
my %texts;
for my $block (split /\n{2,}/, join '', @lines) {
    my @parts = grep { length } split /\n/, $block;
    next unless @parts;
    my ($words, $file, $old, $new, $finder) = @parts;
    die "not five lines: $words\n" unless @parts == 5 and $old =~ s/^- // and $new =~ s/^\+ //;
    $number++;
    my $path = "$source/$file";
    $texts{$path} //= do { open my $f, '<', $path or die "$path: $!"; local $/; <$f> };
    my $found = () = $texts{$path} =~ /\Q$old\E/g;
    die "$words: found $found times in $file: $old\n" unless $found;
    my $switched = switched($number, $old, $new);
    $texts{$path} =~ s/\Q$old\E/$switched/;
    print "$number\t$finder\t$words\n";
}
for my $path (keys %texts) {
    open my $out, '>', $path or die "$path: $!";
    print $out $texts{$path};
}

# What both texts have in common around them stays outside of the switch.
sub switched {
    my ($number, $old, $new) = @_;
    for my $shape (
        qr/^(if )(.*)( \{)$/, qr/^(let config = if )(.*)( \{)$/, qr/^(task\.desired = )(.*)(;)$/,
        qr/^(watched = )(.*)(,)$/, qr/^((?:after|patience|not_before): )(.*)(,)$/,
        qr/^(.* => )(.*)(,)$/, qr/^()(names\..*)(;)$/, qr/^()(task\.status.*)(;)$/, qr/^(\()(\w+)()$/,
        qr/^(\.all\(\|given\| )(.*)(\))$/,
    ) {
        if ($old =~ $shape) {
            my ($before, $a, $after) = ($1, $2, $3);
            $new =~ $shape or die "not of one shape: $old and $new\n";
            return "${before}(if crate::mutant::is($number) { $2 } else { $a })$after";
        }
    }
    return "(if crate::mutant::is($number) { $new } else { $old })";
}
PERL
perl "$copy/plant.pl" "$core/tests/mutants.txt" "$core/src" >"$copy/mutants"
cat >"$core/src/mutant.rs" <<'RUST'
//! The switch of the mistakes.
pub fn is(number: u32) -> bool {
    static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let chosen = || std::env::var("MUTANT").ok().and_then(|text| text.parse().ok());
    *CHOSEN.get_or_init(|| chosen().unwrap_or(0)) == number
}
RUST
echo "mod mutant;" >>"$core/src/lib.rs"
sed -i '1i #![allow(unused_parens)]' "$core/src/lib.rs"

build() {
    local target=${CARGO_TARGET_DIR:-$root/target}
    CARGO_TARGET_DIR=$target cargo test --manifest-path "$copy/Cargo.toml" -p swarmrs-core --lib --test scenarios --no-run \
        --message-format json-render-diagnostics | grep -o '"executable":"[^"]*"' | cut -d'"' -f4
}
programs=$(build)
unit=$(grep '/swarmrs_core-' <<<"$programs")
scenarios=$(grep '/scenarios-' <<<"$programs")

# play NUMBER FINDER: whether all is well with that mistake.
play() {
    local kind=${2%% *} name=${2#* }
    case $kind in
        scenario) MUTANT=$1 SCENARIO=$name timeout 300 "$scenarios" >"$copy/output" 2>&1 ;;
        test) MUTANT=$1 timeout 300 "$unit" --exact "$name" >"$copy/output" 2>&1 && grep -q '^test result: ok. 1 passed' "$copy/output" ;;
        *) echo "no finder: $2" >&2; exit 2 ;;
    esac
}

cd "$core"
total=0 survivors=0
while IFS=$'\t' read -r number finder words; do
    total=$((total + 1))
    if ! play 0 "$finder"; then
        echo "BROKEN    $finder fails without any mistake"
        survivors=$((survivors + 1))
    elif play "$number" "$finder"; then
        echo "SURVIVED  $words ($finder)"
        survivors=$((survivors + 1))
    else
        echo "killed    $words ($finder)"
    fi
done <"$copy/mutants"
echo "$total mistakes, $survivors not found"
[ "$survivors" = 0 ]
