# The viewer's page: built by scripts/viewer when its sources are newer, then embedded.
function(tomograph_embed_viewer target)
    set(out ${PROJECT_BINARY_DIR}/viewer)
    set(files ${out}/index.html ${out}/viewer.js ${out}/viewer.css ${out}/viewer.sha256)
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/viewer/src/*)
    foreach(name index.html package.json package-lock.json svelte.config.js tsconfig.json vite.config.ts)
        list(APPEND sources ${PROJECT_SOURCE_DIR}/viewer/${name})
    endforeach()
    add_custom_command(OUTPUT ${files}
        COMMAND ${PROJECT_SOURCE_DIR}/scripts/viewer ${out}
        DEPENDS ${sources} ${PROJECT_SOURCE_DIR}/scripts/viewer
        COMMENT "Building the viewer's page" VERBATIM)
    target_sources(${target} PRIVATE ${files})
    tomograph_embed(${target} ${files})
endfunction()
