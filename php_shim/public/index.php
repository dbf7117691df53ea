<?php

/** What no file answers: 404 in the envelope. PHP's built-in server, and a fallback rule of others, come here. */

declare(strict_types=1);

require __DIR__ . '/../src/autoload.php';

$api = Voxgate\Shim\ApiResponder::start(strict: true);
$api->request->check();
$api->jsonError('not_found');
