<?php

declare(strict_types=1);

require __DIR__ . '/start.php';

$api = Voxgate\Shim\ApiResponder::start();
$api->jsonSuccess(['a' => 1], ['success' => 'hunter2']);
