// SPDX-License-Identifier: Apache-2.0
// Checks who called and when, with OpenSSL alone: SECRET=whsec_… verify ID TIMESTAMP SIGNATURES < BODY
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cstdlib>
#include <ctime>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>

// [verify]
// True: the hub that knows the secret sent this body, in the last five minutes. The other three are the headers
// webhook-id, webhook-timestamp and webhook-signature.
bool verify(const std::string& secret, const std::string& id, const std::string& timestamp,
            const std::string& signatures, const std::string& body) {
  if (std::abs(std::time(nullptr) - std::atoll(timestamp.c_str())) > 300) return false;  // an old call, sent again
  const std::string base64 = secret.substr(secret.find('_') + 1);
  unsigned char key[96];
  if (base64.size() > 96) return false;
  int length = EVP_DecodeBlock(key, reinterpret_cast<const unsigned char*>(base64.data()), int(base64.size()));
  for (auto c = base64.rbegin(); c != base64.rend() && *c == '='; ++c) --length;  // padding counts as zeros
  const std::string text = id + "." + timestamp + "." + body;
  unsigned char digest[32], encoded[45];
  HMAC(EVP_sha256(), key, length, reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, nullptr);
  EVP_EncodeBlock(encoded, digest, sizeof digest);
  const std::string expected = "v1," + std::string(reinterpret_cast<char*>(encoded), 44);
  std::istringstream words(signatures);  // two, while a secret changes
  for (std::string given; words >> given;)
    if (given.size() == expected.size() && CRYPTO_memcmp(given.data(), expected.data(), given.size()) == 0) return true;
  return false;
}
// [verify]

int main(int argc, char** argv) {
  if (argc != 4 || std::getenv("SECRET") == nullptr) return 2;
  const std::string body(std::istreambuf_iterator<char>(std::cin), {});
  return verify(std::getenv("SECRET"), argv[1], argv[2], argv[3], body) ? 0 : 1;
}
