/* parallel_loader 0.4 to 0.5 */

-- complain if script is sourced in psql, rather than via ALTER EXTENSION
\echo Use "ALTER EXTENSION parallel_loader UPDATE TO '0.5'" to load this file. \quit

-- Nothing but comments: a pull that runs meanwhile is not disturbed, and need not be waited for.
COMMENT ON COLUMN parallel_loader.mark.updated IS
    'when the mark was made, for those who look; nothing is decided by it';
