# SPDX-License-Identifier: Apache-2.0
# Installs the SDK into an empty prefix, moves the prefix, and builds and runs a job and a client of outside projects with
# nothing else: once by find_package, once by pkg-config and the bare compiler.
#   cmake -D BUILD=… -D SOURCE=… -D LOADER=… -D COMPILER=… -D FLAGS=… -D PYTHON=… -P install_test.cmake
set(home ${BUILD}/tests/install_test)
file(REMOVE_RECURSE ${home})

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${command}\nended with ${code}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

function(expect_type library)
  run(${LOADER} --list ${library})
  if(NOT output STREQUAL "Outside\n")
    message(FATAL_ERROR "${library} lists '${output}', not Outside")
  endif()
endfunction()

run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${home}/first --component sdk)
file(RENAME ${home}/first ${home}/prefix)

run(${CMAKE_COMMAND} -S ${SOURCE}/tests/outside_project -B ${home}/build -G Ninja -D CMAKE_PREFIX_PATH=${home}/prefix
  -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_CXX_FLAGS=${FLAGS})
run(${CMAKE_COMMAND} --build ${home}/build)
expect_type(${home}/build/liboutside.so)

find_program(PKG_CONFIG pkg-config)
if(PKG_CONFIG)
  file(GLOB_RECURSE pc ${home}/prefix/geres-job.pc)
  get_filename_component(directory ${pc} DIRECTORY)
  run(${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${directory} ${PKG_CONFIG} --cflags --libs geres-job)
  separate_arguments(flags UNIX_COMMAND "${output} ${FLAGS}")
  run(${COMPILER} -std=c++20 -shared -fPIC -fvisibility=hidden ${flags} ${SOURCE}/tests/outside_project/outside.cpp
    -o ${home}/plain.so)
  expect_type(${home}/plain.so)
endif()

# The client's example, built as its own project from a copy, and run against a hub.
function(expect_client program)
  run(${CMAKE_COMMAND} -E env GERES_COUNT_WORDS=${program} ${ARGN} ${PYTHON} ${SOURCE}/tests/end_to_end/client_test.py)
endfunction()

file(COPY ${SOURCE}/examples/client DESTINATION ${home})
run(${CMAKE_COMMAND} -S ${home}/client -B ${home}/build_client -G Ninja -D CMAKE_PREFIX_PATH=${home}/prefix
  -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_CXX_FLAGS=${FLAGS})
run(${CMAKE_COMMAND} --build ${home}/build_client)
expect_client(${home}/build_client/count_words)

if(PKG_CONFIG)
  run(${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${directory} ${PKG_CONFIG} --cflags --libs geres-client)
  separate_arguments(flags UNIX_COMMAND "${output} ${FLAGS}")
  get_filename_component(libraries ${directory} DIRECTORY)
  run(${COMPILER} -std=c++20 ${home}/client/count_words.cpp ${flags} -Wl,-rpath,${libraries} -o ${home}/plain_client)
  expect_client(${home}/plain_client)
endif()

# The first job in C++ likewise.
file(COPY ${SOURCE}/examples/first_job/cpp DESTINATION ${home})
run(${CMAKE_COMMAND} -S ${home}/cpp -B ${home}/build_first_job -G Ninja -D CMAKE_PREFIX_PATH=${home}/prefix
  -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_CXX_FLAGS=${FLAGS})
run(${CMAKE_COMMAND} --build ${home}/build_first_job)
run(${CMAKE_COMMAND} -E env GERES_FIRST_JOB=${home}/build_first_job/first_job
  ${PYTHON} ${SOURCE}/tests/end_to_end/first_job_test.py FirstJobTest.test_cpp)

# The worker's example likewise.
function(expect_worker program)
  run(${CMAKE_COMMAND} -E env GERES_WORD_WORKER=${program} ${ARGN} ${PYTHON} ${SOURCE}/tests/end_to_end/worker_test.py)
endfunction()

file(COPY ${SOURCE}/examples/worker DESTINATION ${home})
run(${CMAKE_COMMAND} -S ${home}/worker -B ${home}/build_worker -G Ninja -D CMAKE_PREFIX_PATH=${home}/prefix
  -D CMAKE_CXX_COMPILER=${COMPILER} -D CMAKE_CXX_FLAGS=${FLAGS})
run(${CMAKE_COMMAND} --build ${home}/build_worker)
expect_worker(${home}/build_worker/word_worker)

if(PKG_CONFIG)
  run(${CMAKE_COMMAND} -E env PKG_CONFIG_PATH=${directory} ${PKG_CONFIG} --cflags --libs geres-worker)
  separate_arguments(flags UNIX_COMMAND "${output} ${FLAGS}")
  run(${COMPILER} -std=c++20 ${home}/worker/word_worker.cpp ${flags} -Wl,-rpath,${libraries} -o ${home}/plain_worker)
  expect_worker(${home}/plain_worker)
endif()
