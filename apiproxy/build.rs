//! How the daemon is linked.

fn main() {
    // Relocations in a hundredth of the space, which every node has in memory; glibc reads them from 2.36 on.
    println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    println!("cargo:rerun-if-changed=build.rs");
}
