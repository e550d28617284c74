#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    proof::bytes::targets::charge_request(data);
});
