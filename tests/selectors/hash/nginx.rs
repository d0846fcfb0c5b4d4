//! Choices equal to nginx's. A whole nginx is asked in `tests/installed/nginx_ring.rs`.

use equipoise::{
    key::HashFunction,
    selector::hash::{Ring, RingMode},
};

use super::keyed::Keyed;

/// What an nginx has logged, by cloudflare/pingora: `pingora-ketama/test-data/sample-nginx-upstream.csv`, its first lines,
/// each the key and the last number of the server's address. The servers are in `nginx.conf` beside it.
const LOGGED: [(&str, u8); 60] = [
    ("/81fa1d251d605775d647b5b55565e71526d4cef6", 7),
    ("/2fec328e6ccdda6a7edf329f9f780e546ea183b4", 5),
    ("/19fb835d90883a6263ec4279c6da184e3f1a79b2", 4),
    ("/da7a88e542f7aaddc074f988164b9df7e5f7fea6", 4),
    ("/8f87cfd8005306643b6528b3d4125cf005139a7e", 5),
    ("/26d2769eab098458bc3e4e641a4b7d8abffd0aea", 6),
    ("/aa5b5323980f2d3e21246212ebd820c3949c1e88", 7),
    ("/d9c4bc3cc4517c629e8f4c911c2fd8baf260ae65", 1),
    ("/28c1c069a2904bb3b3e0f9731b1ff8de9ab7a76d", 4),
    ("/fe5199bdfeee5cd431ae7e9f77f178164f9995a0", 9),
    ("/43992eee187920c5e8695332f71ca6e23ef6ac4b", 3),
    ("/38528aab753a6f32de86b5a7acdbb0c885137a81", 9),
    ("/12d4b9155ff599c0ac554226796b58a2278b450f", 7),
    ("/9c34c9a4f9009997dd29c6e6a627b0aca7beb6e5", 5),
    ("/eb5a2ab55796afd673874fd7560f1329be5540bd", 9),
    ("/ad7b5395766b77098c3f212043650a805b622ffe", 3),
    ("/c72fedf4177499635302849496898fe4f3409cc1", 9),
    ("/77766138aaf0c016bdd1f6b996177fc8ca1d2204", 8),
    ("/860c86b94e04f2648fb164c87fd6166707fd08ff", 6),
    ("/1b419454e4eb63ef915e8e06cc11110a3ccd607e", 7),
    ("/a8762dc488e1a1af31e53af8ddb887d4f3cca990", 8),
    ("/2e8e8e8fdeada0bbd33ba57d20209b4d9343f965", 4),
    ("/0220fa8b9a256e7fcf823097759aa3c44e6390e3", 6),
    ("/418c1c554186b78c11de89227fbc24ef128bce54", 8),
    ("/bc86e565b76f8e6f560064b02ab26529b6064571", 3),
    ("/5c6a9b50df69956bd2b937ce7871ba6d67678db6", 5),
    ("/5726f95dd0b1b145ad1a06755580f42fea41ac2a", 9),
    ("/db601a7f7e24504b820e5ef5276b2653ec6c17d9", 4),
    ("/f428a38a0d3dbbb12d475aa8f5be917147175eaf", 6),
    ("/b815ca5871d52098946eded8a3382d086747818f", 1),
    ("/fc61e21e21c6c0a9e03807a2cad7c1e79a104786", 1),
    ("/8278c52b97c1e805c1c7c1a62123ca0a87e2ea2a", 8),
    ("/668fd6d99bfb50b85b0928a8915761be2ca19089", 2),
    ("/fefbfb22035c938b44d305dbb71b11d531257af8", 2),
    ("/c30b287269464a75cf76a603145a7e44b83c8bde", 5),
    ("/7584dbc60619230cb5a315cfdd3760fe2e2980c3", 9),
    ("/399b3bdce88319bdba1b6b310cfcbd9db9cec234", 6),
    ("/5edc91979f6f38dbbe00544d97d617b92b3df93d", 9),
    ("/ac740e2450803d9b6042a3a98e5fe16eaad536e6", 1),
    ("/46013f26dbbde9c25de5fcbb92ff331d5614bae8", 5),
    ("/f109862c7c78e8ce087aeff9f2368d54d91fd3be", 5),
    ("/fdc13a7011bbcf36b232adde4c610f0f35e9147e", 3),
    ("/8387a3c076e525cae448c6a3b22988a2f37a98fc", 1),
    ("/b4739e36d8e7eba1a400925c928caf0741b1a92a", 1),
    ("/d92612bb3f678d8b181fa176e0af7227bf5f7e42", 9),
    ("/89ec56b1d8d72c888b044e8cd7fa51b9ac726a41", 2),
    ("/7cf921d8181af6912676f20c3d961d3f2ffbad20", 3),
    ("/9181876c839cf16fd7c8c858b7afdc0178fb9500", 3),
    ("/1034a4394566c826888f813af75c396fe8082b43", 3),
    ("/81ac831667e89c2c6b3c6098b598d99eb1ce2b20", 2),
    ("/d9dbae8a03a430b8d9cbffcf622b4e379bc89bf6", 7),
    ("/c67776793fdcf7553fe0cb6414bb9dafe0216911", 6),
    ("/1ee25559aa4aaa11ec1b3d2cc8645ed05ec001b3", 9),
    ("/580180a2b85efff1a393ea2449ae271148ca2770", 2),
    ("/84e1a1904a52e43ace344346032daca4e1bb69d6", 8),
    ("/9cd06ffa608a252a30d935d2ebf10eceda06ba2e", 6),
    ("/cf85a0000f38ac5346ddddd8cc0c28a054bbe60c", 5),
    ("/c31f22b05514e380dd4430086486dc3ba4e36ed4", 6),
    ("/336fdd336fde2bde2e0132d4be65088953036175", 7),
    ("/cb1e7e2c425607defdd725e81ca3121340dbc8bb", 8),
];

#[test]
fn the_ring_chooses_as_an_nginx_has_chosen() {
    let servers: Vec<_> = (1..=9).map(|number| (format!("10.0.0.{number}:443"), 100)).collect();
    let mut ring = Keyed::new(Ring::new().with_mode(RingMode::Nginx), &servers);
    for (key, number) in LOGGED {
        let chosen = ring.id(HashFunction::Crc32.hash(key.as_bytes()));
        assert_eq!(chosen, format!("10.0.0.{number}:443"), "{key}");
    }
}
