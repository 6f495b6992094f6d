# SPDX-License-Identifier: Apache-2.0
# cmake -DIN=api/openapi.yaml -DOUT=x.cpp -P embed_text.cmake: the file as a C++ string.
file(READ ${IN} text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
file(WRITE ${OUT} "// Made from api/openapi.yaml.\n#include \"hub/api/embedded.h\"\n\nnamespace geres::hub::api {\nconst std::string_view kOpenapiYaml =\n    \"${text}\";\n}\n")
