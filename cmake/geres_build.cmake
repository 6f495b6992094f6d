# SPDX-License-Identifier: Apache-2.0
# Compiler settings, third-party packages, and the verbs the folders' lists use:
# geres_library, geres_sdk, geres_test, geres_program.
include(GNUInstallDirs)

find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL REQUIRED)
find_package(CURL REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(LibArchive REQUIRED)
find_package(ZLIB REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)

# AMQP needs qpid-proton's C++ binding; without it `geres hub --amqp` says so. It has no CMake package, and Debian's
# pkg-config file asks for others that are not there.
option(GERES_AMQP "Build with AMQP, where qpid-proton is installed" ON)
if(GERES_AMQP)
  find_path(GERES_PROTON_INCLUDE proton/container.hpp)
  find_library(GERES_PROTON_CPP qpid-proton-cpp)
  find_library(GERES_PROTON qpid-proton)
endif()
if(GERES_AMQP AND GERES_PROTON_INCLUDE AND GERES_PROTON_CPP AND GERES_PROTON)
  set(GERES_HAS_AMQP ON)
  add_library(geres_proton INTERFACE)
  target_include_directories(geres_proton SYSTEM INTERFACE ${GERES_PROTON_INCLUDE})
  target_link_libraries(geres_proton INTERFACE ${GERES_PROTON_CPP} ${GERES_PROTON})
else()
  set(GERES_HAS_AMQP OFF)
  message(STATUS "AMQP is left out (libqpid-proton-cpp12-dev)")
endif()

# The hub's page is built by Vite, which needs node; without it the hub shows a few lines of plain HTML.
option(GERES_WEB "Build the page in web/, where node can" ON)
set(GERES_HAS_WEB OFF)
if(GERES_WEB AND EXISTS ${CMAKE_SOURCE_DIR}/web/package.json)
  execute_process(
    COMMAND node -e "const [a, b] = process.versions.node.split('.'); process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)"
    RESULT_VARIABLE node_is_too_old OUTPUT_QUIET ERROR_QUIET)
  if(node_is_too_old STREQUAL "0")
    set(GERES_HAS_WEB ON)
  else()
    message(STATUS "The hub's page is left out (node 20.19 or newer)")
  endif()
endif()

add_library(geres_settings INTERFACE)
target_compile_options(geres_settings INTERFACE -Wall -Wextra -Wpedantic -Wno-missing-field-initializers -fno-omit-frame-pointer)
target_include_directories(geres_settings INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(geres_settings INTERFACE GERES_VERSION="${PROJECT_VERSION}" BOOST_ASIO_NO_DEPRECATED
  $<$<NOT:$<CONFIG:Release>>:GERES_CHECKS>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Boost.Asio and Describe trip this warning at -O2 with g++ 12 on correct code.
  target_compile_options(geres_settings INTERFACE -Wno-maybe-uninitialized)
endif()
if(GERES_SANITIZE)
  target_compile_options(geres_settings INTERFACE -fsanitize=${GERES_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(geres_settings INTERFACE -fsanitize=${GERES_SANITIZE})
endif()

find_program(GERES_MOLD mold)
find_program(GERES_LLD ld.lld)
if(GERES_MOLD)
  add_link_options(-fuse-ld=mold)
elseif(GERES_LLD)
  add_link_options(-fuse-ld=lld)
endif()

find_program(GERES_CCACHE ccache)
if(GERES_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${GERES_CCACHE})
endif()

# geres_library(name SOURCES a.cpp … LINK lib …): the library of this folder. LINK is its list of arrows.
function(geres_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PUBLIC geres_settings ${arg_LINK})
  else()
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE geres_settings ${arg_LINK})
  endif()
endfunction()

# geres_test(name [SANITIZED] [OPTIMIZED] SOURCES a_test.cpp … LINK lib …): one GoogleTest program, run as one ctest entry.
# Tests themselves are compiled without optimization, which halves their share of the build; OPTIMIZED ones compute much.
# SANITIZED ones are the inner layers, run once more under AddressSanitizer and UBSan by `./dev test`. SHARDS n: a long one
# becomes n entries, which share its tests and run side by side.
add_custom_target(sanitized_tests)
function(geres_test name)
  if(NOT GERES_TESTS)
    return()
  endif()
  cmake_parse_arguments(arg "SANITIZED;OPTIMIZED" "TIMEOUT;SHARDS" "SOURCES;LINK;ENVIRONMENT" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  find_package(GTest REQUIRED)
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gmock GTest::gtest_main)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  if(NOT arg_OPTIMIZED)
    target_compile_options(${name} PRIVATE -O0)
  endif()
  if(arg_SHARDS)
    foreach(shard RANGE 1 ${arg_SHARDS})
      math(EXPR index "${shard} - 1")
      add_test(NAME ${name}_${shard} COMMAND ${name})
      set_tests_properties(${name}_${shard} PROPERTIES TIMEOUT ${arg_TIMEOUT}
        ENVIRONMENT "${arg_ENVIRONMENT};GTEST_TOTAL_SHARDS=${arg_SHARDS};GTEST_SHARD_INDEX=${index}")
    endforeach()
    return()
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "${arg_ENVIRONMENT}")
  if(arg_SANITIZED)
    add_dependencies(sanitized_tests ${name})
    set_tests_properties(${name} PROPERTIES LABELS sanitized)
  endif()
endfunction()

# All that `cmake --install` puts somewhere.
add_custom_target(installable)

# geres_sdk(name SOURCES a.cpp … LINK lib …): what users link as geres::<name>, libgeres-<name>.so. All that it is made
# of (Boost.JSON, libcurl) stays inside, so that a program needs nothing but the headers and the library.
function(geres_sdk name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  set(target geres_${name})
  add_library(${target} SHARED ${arg_SOURCES})
  add_library(geres::${name} ALIAS ${target})
  target_link_libraries(${target} PRIVATE ${arg_LINK})
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  # Until 1.0 a minor version may change structs.
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} OUTPUT_NAME geres-${name}
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/lib)
  target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL -Wl,--as-needed)
  install(TARGETS ${target} EXPORT geresTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT sdk NAMELINK_COMPONENT sdk)
  add_dependencies(installable ${target})
endfunction()

# geres_program(name SOURCES a.cpp … LINK lib …): a program that ships, into build/bin.
function(geres_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  add_dependencies(installable ${name})
endfunction()
