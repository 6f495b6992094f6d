# SPDX-License-Identifier: Apache-2.0
# cmake -DOUT=file.cpp -DIN="a.sql;b.sql" -P embed_sql.cmake: the migrations, in order, as C++ text.
set(text "// Made from the .sql files in migrations/.\n#include \"hub/store/postgres/migrate.h\"\n\n")
string(APPEND text "namespace geres::hub::store::postgres {\n\nstd::span<const std::string_view> migrations() {\n")
string(APPEND text "  static constexpr std::string_view all[] = {\n")
foreach(file IN LISTS IN)
  file(READ "${file}" sql)
  string(APPEND text "      R\"sql(${sql})sql\",\n")
endforeach()
string(APPEND text "  };\n  return all;\n}\n\n}  // namespace geres::hub::store::postgres\n")
file(WRITE "${OUT}" "${text}")
